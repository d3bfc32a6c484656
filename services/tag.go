package services

import (
	"context"
	"errors"

	"clientele/internal/relay"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// TagLibrary reads the account's tags with their options (rule F1).
func (s *Services) TagLibrary(ctx context.Context) (models.TagLibrary, error) {
	c, err := s.begin(ctx, mayTags)
	if err != nil {
		return nil, err
	}
	return s.store.View(ctx).TagLibrary(c.Account.Key)
}

// CreateTag makes a tag without options (rule F1): NAME_TAKEN, LIMIT_EXCEEDED.
func (s *Services) CreateTag(ctx context.Context, name string) (t *models.Tag, err error) {
	if name, err = models.CheckName(name, "input.name", limits.TagNameRunes); err != nil {
		return nil, err
	}
	err = s.changeLibrary(ctx, mayCreateTag, func(tx *store.Tx, l models.TagLibrary) (store.Change, error) {
		switch {
		case l.TagNamed(name) != nil:
			return store.Change{}, errTagNameTaken()
		case len(l) >= limits.TagsPerAccount:
			return store.Change{}, models.TooMany("", limits.TagsPerAccount, "the account has %d tags", limits.TagsPerAccount)
		}
		t = &models.Tag{
			AccountID: tx.Account, Key: models.NewKey(), Name: name, FoldedName: models.Ident(models.Fold(name)), CreatedAt: tx.Now, UpdatedAt: tx.Now,
			Options: []*models.TagOption{},
		}
		return store.Change{TargetKind: "Tag", Target: t.Key, After: named(name)}, tx.InsertTag(t)
	})
	return t, err
}

// RenameTag gives a tag another name: NOT_FOUND, NAME_TAKEN.
func (s *Services) RenameTag(ctx context.Context, key models.Key, name string) (t *models.Tag, err error) {
	if name, err = models.CheckName(name, "input.name", limits.TagNameRunes); err != nil {
		return nil, err
	}
	err = s.changeLibrary(ctx, mayRenameTag, func(tx *store.Tx, l models.TagLibrary) (store.Change, error) {
		if t = l.Tag(key); t == nil {
			return store.Change{}, models.NotFound("tag", "input.tagId")
		}
		if other := l.TagNamed(name); other != nil && other != t {
			return store.Change{}, errTagNameTaken()
		}
		entry := store.Change{TargetKind: "Tag", Target: key, Before: named(t.Name), After: named(name)}
		t.Name, t.FoldedName = name, models.Ident(models.Fold(name))
		return entry, tx.RenameTag(t)
	})
	return t, err
}

// RemoveTag removes a tag with its options, which are hidden at once and taken off customers later:
// see SweepTags. NOT_FOUND.
func (s *Services) RemoveTag(ctx context.Context, key models.Key) error {
	return s.changeLibrary(ctx, mayRemoveTag, func(tx *store.Tx, l models.TagLibrary) (store.Change, error) {
		t := l.Tag(key)
		if t == nil {
			return store.Change{}, models.NotFound("tag", "input.tagId")
		}
		if err := removeOptions(tx, t.Options); err != nil {
			return store.Change{}, err
		}
		before := map[string]any{"name": t.Name, "options": models.OptionNames(t.Options)}
		return store.Change{TargetKind: "Tag", Target: key, Before: before}, tx.DeleteTag(key)
	})
}

// CreateTagOption makes an option of a tag (rule F1): NOT_FOUND, NAME_TAKEN, LIMIT_EXCEEDED.
func (s *Services) CreateTagOption(ctx context.Context, tag models.Key, name string) (o *models.TagOption, err error) {
	if name, err = models.CheckName(name, "input.name", limits.TagNameRunes); err != nil {
		return nil, err
	}
	err = s.changeLibrary(ctx, mayCreateTagOption, func(tx *store.Tx, l models.TagLibrary) (store.Change, error) {
		t := l.Tag(tag)
		switch {
		case t == nil:
			return store.Change{}, models.NotFound("tag", "input.tagId")
		case l.OptionNamed(name) != nil:
			return store.Change{}, errTagNameTaken()
		case len(t.Options) >= limits.OptionsPerTag:
			return store.Change{}, models.TooMany("", limits.OptionsPerTag, "the tag has %d options", limits.OptionsPerTag)
		}
		o = &models.TagOption{
			AccountID: tx.Account, Key: models.NewKey(), TagID: tag, Name: name, FoldedName: models.Ident(models.Fold(name)),
			CreatedAt: tx.Now, UpdatedAt: tx.Now, Tag: t,
		}
		t.Options = append(t.Options, o)
		return store.Change{TargetKind: "TagOption", Target: o.Key, After: named(name)}, tx.InsertTagOption(o)
	})
	return o, err
}

// RenameTagOption gives an option another text: NOT_FOUND, NAME_TAKEN.
func (s *Services) RenameTagOption(ctx context.Context, key models.Key, name string) (o *models.TagOption, err error) {
	if name, err = models.CheckName(name, "input.name", limits.TagNameRunes); err != nil {
		return nil, err
	}
	err = s.changeLibrary(ctx, mayRenameTagOption, func(tx *store.Tx, l models.TagLibrary) (store.Change, error) {
		if o = l.Options()[key]; o == nil {
			return store.Change{}, models.NotFound("option", "input.optionId")
		}
		if other := l.OptionNamed(name); other != nil && other != o {
			return store.Change{}, errTagNameTaken()
		}
		entry := store.Change{TargetKind: "TagOption", Target: key, Before: named(o.Name), After: named(name)}
		o.Name, o.FoldedName = name, models.Ident(models.Fold(name))
		return entry, tx.UpdateTagOptions([]*models.TagOption{o})
	})
	return o, err
}

// RemoveTagOption removes an option, which is hidden at once and taken off customers later: see
// SweepTags. NOT_FOUND.
func (s *Services) RemoveTagOption(ctx context.Context, key models.Key) error {
	return s.changeLibrary(ctx, mayRemoveTagOption, func(tx *store.Tx, l models.TagLibrary) (store.Change, error) {
		o := l.Options()[key]
		if o == nil {
			return store.Change{}, models.NotFound("option", "input.optionId")
		}
		return store.Change{TargetKind: "TagOption", Target: key, Before: named(o.Name)}, removeOptions(tx, []*models.TagOption{o})
	})
}

// changeLibrary changes the account's tags under the account's lock, so that what is counted and
// compared holds (rule F1), and audits what change answers.
func (s *Services) changeLibrary(ctx context.Context, p Permission, change func(*store.Tx, models.TagLibrary) (store.Change, error)) error {
	c, err := s.begin(ctx, p)
	if err != nil {
		return err
	}
	return s.store.Write(ctx, c.actor(), c.Account.Key, func(tx *store.Tx) error {
		if _, err := tx.LockAccount(); err != nil {
			return err
		}
		l, err := tx.TagLibrary(tx.Account)
		if err != nil {
			return err
		}
		entry, err := change(tx, l)
		if err != nil {
			return err
		}
		entry.Action = p.Field
		return tx.Audit(entry)
	})
}

// removeOptions hides options, and frees their texts.
func removeOptions(tx *store.Tx, options []*models.TagOption) error {
	for _, o := range options {
		o.RemovedAt, o.FoldedName = tx.Now, ""
	}
	return tx.UpdateTagOptions(options)
}

// named is a name as the audit log tells it.
func named(name string) map[string]any { return map[string]any{"name": name} }

func errTagNameTaken() error {
	return &models.Error{Code: models.CodeNameTaken, Field: "input.name", Message: "the library has this name"}
}

// TagsOf reads the options of customers whom the viewer may see, with two statements for the library
// and one for all of them.
func (s *Services) TagsOf(ctx context.Context, customers []*models.Customer) (map[*models.Customer][]*models.TagOption, error) {
	c, err := s.tenant(ctx)
	if err != nil {
		return nil, err
	}
	var keys []models.Key
	for _, row := range customers {
		if c.sees(row) {
			keys = append(keys, row.Key)
		}
	}
	// What the rows say of their advisors may be a moment old; what is read is asked again.
	having, l, err := tagsOf(s.store.View(ctx), c.Account.Key, c.owner(), keys)
	if err != nil {
		return nil, err
	}
	tags := make(map[*models.Customer][]*models.TagOption, len(customers))
	for _, row := range customers {
		tags[row] = l.Having(having[row.Key])
	}
	return tags, nil
}

// tagsOf reads the options of customers by key, and the library; of an advisor's customers only, unless
// that is zero.
func tagsOf(r *store.Reader, account, advisor models.Key, customers []models.Key) (map[models.Key]map[models.Key]bool, models.TagLibrary, error) {
	l, err := r.TagLibrary(account)
	if err != nil || len(l) == 0 || len(customers) == 0 {
		return nil, l, err
	}
	rows, err := r.CustomerTags(account, advisor, customers)
	having := make(map[models.Key]map[models.Key]bool, len(customers))
	for _, row := range rows {
		if having[row.CustomerID] == nil {
			having[row.CustomerID] = map[models.Key]bool{}
		}
		having[row.CustomerID][row.OptionID] = true
	}
	return having, l, err
}

// tagNodes finds tags and options by key, for who may read the library.
func (s *Services) tagNodes(ctx context.Context, c *Scope, keys []models.Key, found map[relay.ID]models.Node) error {
	l, err := s.store.View(ctx).TagLibrary(c.Account.Key)
	if err != nil {
		return err
	}
	options := l.Options()
	for _, k := range keys {
		if t := l.Tag(k); t != nil {
			found[t.ID()] = t
		}
		if o := options[k]; o != nil {
			found[o.ID()] = o
		}
	}
	return nil
}

// tagSweep is the name of the sweep.
const tagSweep = "tags"

// SweepTags takes options that were removed off customers, limits.TagSweepRows a transaction, and
// forgets those that nobody has any more. It answers limits.BatchRows when there may be more to do. One
// node does it for all.
func (s *Services) SweepTags(ctx context.Context) (int, error) {
	removed, err := s.store.View(ctx).RemovedTagOptions(limits.BatchRows)
	if err != nil || len(removed) == 0 {
		return 0, err
	}
	until := s.Now().Add(limits.TagSweepLease)
	mine, err := s.store.KeepSweep(ctx, tagSweep, until)
	if err == nil && !mine {
		mine, err = s.store.LeaseSweep(ctx, tagSweep, until)
	}
	if err != nil || !mine {
		return 0, err
	}
	n := len(removed)
	var failed []error
	for _, o := range removed {
		more, err := s.takeOff(ctx, o)
		if failed = append(failed, err); ctx.Err() != nil {
			break
		}
		if more {
			n = limits.BatchRows
		}
	}
	return n, errors.Join(failed...)
}

// takeOff takes a removed option off some customers, and forgets it with the last; more says that
// others may have it.
func (s *Services) takeOff(ctx context.Context, o *models.TagOption) (more bool, err error) {
	customers, err := s.store.View(ctx).HavingTagOption(o.AccountID, o.Key, limits.TagSweepRows)
	if err != nil {
		return false, err
	}
	more = len(customers) == limits.TagSweepRows
	return more, s.store.Write(ctx, store.System(), o.AccountID, func(tx *store.Tx) error {
		if err := tx.DeleteCustomerTags(o.Key, customers); err != nil || more {
			return err
		}
		return tx.ForgetTagOption(o.Key)
	})
}
