package models

import "clientele/internal/relay"

// Tag is a category of marks on customers, with its options (rule F1).
type Tag struct {
	AccountID  Key    `gorm:"column:account_id;primaryKey"`
	Key        Key    `gorm:"column:id;primaryKey"`
	Name       string `gorm:"column:name"`
	FoldedName Ident  `gorm:"column:folded_name"` // Fold(Name); unique in the account
	CreatedAt  Time   `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt  Time   `gorm:"column:updated_at;autoUpdateTime:false"`

	// Options are those that were not removed, the earliest first.
	Options []*TagOption `gorm:"-"`
}

// TableName names the table for the mapper.
func (Tag) TableName() string { return "tag" }

// ID is the tag's global id.
func (t *Tag) ID() relay.ID { return relay.ID{Kind: KindTag, Key: t.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*Tag) IsNode() {}

// TagOption is a mark that customers may have (rule F1).
type TagOption struct {
	AccountID Key    `gorm:"column:account_id;primaryKey"`
	Key       Key    `gorm:"column:id;primaryKey"`
	TagID     Key    `gorm:"column:tag_id"`
	Name      string `gorm:"column:name"`
	// FoldedName is Fold(Name), unique in the account; none once the option was removed, so that
	// another may have the name.
	FoldedName Ident `gorm:"column:folded_name"`
	// RemovedAt is when it was removed: nobody is shown it any more, and a sweep takes it off
	// customers and then forgets it.
	RemovedAt Time `gorm:"column:removed_at"`
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt Time `gorm:"column:updated_at;autoUpdateTime:false"`

	Tag *Tag `gorm:"-"`
}

// TableName names the table for the mapper.
func (TagOption) TableName() string { return "tag_option" }

// ID is the option's global id.
func (o *TagOption) ID() relay.ID { return relay.ID{Kind: KindTagOption, Key: o.Key} }

// IsNode marks the type for GraphQL's Node interface.
func (*TagOption) IsNode() {}

// CustomerTag says that a customer has an option.
type CustomerTag struct {
	AccountID  Key `gorm:"column:account_id;primaryKey"`
	CustomerID Key `gorm:"column:customer_id;primaryKey"`
	OptionID   Key `gorm:"column:option_id;primaryKey"`
	// AdvisorID repeats customer.advisor_id, written in the same transactions, so that an advisor's
	// customers with an option are one index range.
	AdvisorID Key  `gorm:"column:advisor_id"`
	CreatedAt Time `gorm:"column:created_at;autoCreateTime:false"`
}

// TableName names the table for the mapper.
func (CustomerTag) TableName() string { return "customer_tag" }

// TagLibrary is an account's tags with their options, the earliest first; none that was removed.
type TagLibrary []*Tag

// NewTagLibrary puts options to their tags.
func NewTagLibrary(tags []*Tag, options []*TagOption) TagLibrary {
	l := TagLibrary(tags)
	for _, o := range options {
		if o.Tag = l.Tag(o.TagID); o.Tag != nil {
			o.Tag.Options = append(o.Tag.Options, o)
		}
	}
	return l
}

// Tag is the tag with a key; nil: none.
func (l TagLibrary) Tag(key Key) *Tag {
	for _, t := range l {
		if t.Key == key {
			return t
		}
	}
	return nil
}

// Options is all options by key.
func (l TagLibrary) Options() map[Key]*TagOption {
	all := map[Key]*TagOption{}
	for _, t := range l {
		for _, o := range t.Options {
			all[o.Key] = o
		}
	}
	return all
}

// TagNamed is the tag that has a name, as names compare; nil: none.
func (l TagLibrary) TagNamed(name string) *Tag {
	folded := Ident(Fold(name))
	for _, t := range l {
		if t.FoldedName == folded {
			return t
		}
	}
	return nil
}

// OptionNamed is the option of any tag that has a text, as names compare; nil: none.
func (l TagLibrary) OptionNamed(name string) *TagOption {
	folded := Ident(Fold(name))
	for _, t := range l {
		for _, o := range t.Options {
			if o.FoldedName == folded {
				return o
			}
		}
	}
	return nil
}

// Having is the options with these keys, in the library's order.
func (l TagLibrary) Having(keys map[Key]bool) []*TagOption {
	having := []*TagOption{}
	for _, t := range l {
		for _, o := range t.Options {
			if keys[o.Key] {
				having = append(having, o)
			}
		}
	}
	return having
}

// OptionNames is the texts of options.
func OptionNames(options []*TagOption) Lines {
	names := make(Lines, len(options))
	for i, o := range options {
		names[i] = o.Name
	}
	return names
}
