package services

import (
	"context"
	"fmt"

	"clientele/limits"
	"clientele/models"
)

// TagOptionRef names an option by exactly one of its fields.
type TagOptionRef struct {
	Key  models.Key
	Name string
}

// CustomerTagging is which options to put on one customer, and which to take off.
type CustomerTagging struct {
	Customer    CustomerRef
	Add, Remove []TagOptionRef
}

// TagCustomers puts options on customers and takes options off them (rule F2). Errors of items:
// NOT_FOUND of customer or option, DUPLICATE, INVALID. Errors of the call: INVALID, LIMIT_EXCEEDED,
// IDEMPOTENCY_CONFLICT.
func (s *Services) TagCustomers(ctx context.Context, all []CustomerTagging, idempotencyKey string) (BulkResult, error) {
	e := editing{permission: mayTagCustomers, key: idempotencyKey, body: all, refs: make([]CustomerRef, len(all))}
	options := 0
	for i, one := range all {
		e.refs[i] = one.Customer
		options += len(one.Add) + len(one.Remove)
	}
	if options > limits.TagChanges {
		return BulkResult{}, models.TooMany("input.customers", limits.TagChanges, "at most %d options in a call", limits.TagChanges)
	}
	var t *tagBatch // of the present attempt
	e.ready = func(b *editBatch) (err error) {
		t, err = newTagBatch(b, all)
		return err
	}
	e.edit = func(_ *editBatch, i int, c *models.Customer) (bool, *models.Error) { return t.tag(c, all[i]) }
	e.tags = func(customer models.Key) []string { return models.OptionNames(t.library.Having(t.having[customer])) }
	e.save = func(*editBatch) error { return t.save() }
	return s.edit(ctx, e)
}

// tagBatch is what a transaction that tags knows of tags, and what of them is to be written.
type tagBatch struct {
	*editBatch
	library models.TagLibrary
	// options are those that the call names and the library keeps until the transaction ends.
	options map[models.Key]*models.TagOption
	byName  map[string]models.Key              // of those that the call names, by folded text
	having  map[models.Key]map[models.Key]bool // options by customer, as they become
	on      []*models.CustomerTag              // to put on
	off     map[models.Key][]models.Key        // to take off: customers by option
}

func newTagBatch(b *editBatch, all []CustomerTagging) (*tagBatch, error) {
	t := &tagBatch{editBatch: b, byName: map[string]models.Key{}, off: map[models.Key][]models.Key{}}
	keys := make([]models.Key, 0, len(b.customers))
	for k := range b.customers {
		keys = append(keys, k)
	}
	var err error
	if t.having, t.library, err = tagsOf(&b.tx.Reader, b.tx.Account, models.Key{}, keys); err != nil {
		return nil, err
	}
	if t.having == nil {
		t.having = map[models.Key]map[models.Key]bool{}
	}
	texts := map[string]models.Key{}
	for _, o := range t.library.Options() {
		texts[string(o.FoldedName)] = o.Key
	}
	named := map[models.Key]bool{}
	for _, one := range all {
		for _, refs := range [][]TagOptionRef{one.Add, one.Remove} {
			for _, ref := range refs {
				key := ref.Key
				if ref.Name != "" {
					if _, known := t.byName[ref.Name]; !known {
						t.byName[ref.Name] = texts[models.Fold(ref.Name)]
					}
					key = t.byName[ref.Name]
				}
				if !key.IsZero() {
					named[key] = true
				}
			}
		}
	}
	t.options, err = b.tx.ShareTagOptions(keysIn(named))
	return t, err
}

// tag puts options on a customer and takes options off, in memory: all that are named, or none. Its
// error's field stands below the item's.
func (t *tagBatch) tag(c *models.Customer, one CustomerTagging) (bool, *models.Error) {
	becomes := map[models.Key]bool{}
	for _, part := range []struct {
		name string
		refs []TagOptionRef
		has  bool
	}{{"add", one.Add, true}, {"remove", one.Remove, false}} {
		for i, ref := range part.refs {
			field := fmt.Sprintf(".%s.%d", part.name, i)
			key := ref.Key
			if ref.Name != "" {
				key = t.byName[ref.Name]
			}
			if t.options[key] == nil {
				return false, models.NotFound("option", field)
			}
			if has, twice := becomes[key]; twice && has != part.has {
				return false, models.Invalid(field, "is to be put on as well")
			}
			becomes[key] = part.has
		}
	}
	has := t.having[c.Key]
	if has == nil {
		has = map[models.Key]bool{}
		t.having[c.Key] = has
	}
	was, became := map[models.Key]bool{}, map[models.Key]bool{}
	for key, shall := range becomes {
		switch {
		case shall == has[key]:
		case shall:
			has[key], became[key] = true, true
			t.on = append(t.on, &models.CustomerTag{AccountID: t.tx.Account, CustomerID: c.Key, OptionID: key, AdvisorID: c.AdvisorID, CreatedAt: t.tx.Now})
		default:
			delete(has, key)
			was[key] = true
			t.off[key] = append(t.off[key], c.Key)
		}
	}
	if len(was)+len(became) == 0 {
		return false, nil
	}
	t.log.add(t.tx, c.Key, models.FieldTags, models.OptionNames(t.library.Having(was)), models.OptionNames(t.library.Having(became)))
	return true, nil
}

// save writes what changed: the options put on together, those taken off a statement for each.
func (t *tagBatch) save() error {
	if err := t.tx.InsertCustomerTags(t.on); err != nil {
		return err
	}
	for option, customers := range t.off {
		if err := t.tx.DeleteCustomerTags(option, customers); err != nil {
			return err
		}
	}
	return nil
}

// keysIn is the keys of a set.
func keysIn(set map[models.Key]bool) []models.Key {
	keys := make([]models.Key, 0, len(set))
	for k := range set {
		keys = append(keys, k)
	}
	return keys
}
