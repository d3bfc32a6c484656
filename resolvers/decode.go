package resolvers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"clientele/dataloaders"
	"clientele/graph"
	"clientele/internal/relay"
	"clientele/internal/transport"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// page decodes `first` and `after`: INVALID for a cursor that is none, LIMIT_EXCEEDED beyond most.
func (r *Resolver) page(first *int, after *string, most int) (relay.Page, error) {
	p := relay.Page{First: min(r.PageDefault, most)}
	if first != nil {
		p.First = *first
	}
	if p.First < 1 {
		return p, models.Invalid("first", "is not at least 1")
	}
	if p.First > most {
		return p, models.TooMany("first", most, "at most %d items a page", most)
	}
	if after != nil {
		k, ok := relay.ParseKeyset(*after)
		if !ok {
			return p, models.Invalid("after", "is no cursor of this list")
		}
		p.After = &k
	}
	return p, nil
}

// exportPage decodes which part of an export is asked for.
func exportPage(first *int, after *string) (relay.Page, error) {
	p := relay.Page{First: limits.ExportPage}
	if first != nil {
		p.First = *first
	}
	switch {
	case p.First < 1:
		return p, models.Invalid("input.first", "is not at least 1")
	case p.First > limits.ExportPage:
		return p, models.TooMany("input.first", limits.ExportPage, "at most %d records", limits.ExportPage)
	}
	if after != nil {
		k, ok := relay.ParseKeyset(*after)
		if !ok {
			return p, models.Invalid("input.after", "is no cursor of an export")
		}
		p.After = &k
	}
	return p, nil
}

// auditFilter decodes which entries of the audit log are asked for; null: all.
func auditFilter(in *graph.AuditFilter, field string) (f services.AuditFilter, err error) {
	if in == nil {
		return f, nil
	}
	f = services.AuditFilter{Subject: in.Subject, Action: in.Action, From: value(in.From), Until: value(in.Until)}
	if in.Role != nil {
		role := string(*in.Role)
		f.Role = &role
	}
	if in.TargetID != nil {
		if in.TargetID.Kind == "" {
			return f, models.Invalid(field+".targetId", "is no id")
		}
		f.Target = in.TargetID
	}
	return f, nil
}

// key decodes an id of one kind: INVALID with the argument's name for any other.
func key(id relay.ID, kind relay.Kind, field string) (models.Key, error) {
	if id.Kind != kind || id.Key == ([16]byte{}) {
		return models.Key{}, models.Invalid(field, "is no id of this kind")
	}
	return models.Key(id.Key), nil
}

// oneOf reports INVALID unless exactly one field of a @oneOf input is given; the executor holds
// it for literals only.
func oneOf(field string, given ...bool) error {
	n := 0
	for _, g := range given {
		if g {
			n++
		}
	}
	if n != 1 {
		return models.Invalid(field, "must name by exactly one of its fields")
	}
	return nil
}

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// bulkKey decodes the idempotency key of a bulk call; absent is none, and an empty one INVALID: a call
// with it would not be protected.
func bulkKey(in *string) (string, error) {
	if in != nil && *in == "" {
		return "", models.Invalid("input.idempotencyKey", "is empty")
	}
	return value(in), nil
}

func customerRef(in graph.CustomerRef, field string) (ref services.CustomerRef, err error) {
	if err = oneOf(field, in.ID != nil, value(in.Openid) != "", value(in.Unionid) != ""); err != nil {
		return ref, err
	}
	if in.ID != nil {
		ref.Key, err = key(*in.ID, models.KindCustomer, field+".id")
	}
	ref.OpenID, ref.UnionID = value(in.Openid), value(in.Unionid)
	if err == nil {
		err = idents(field, map[string]models.Ident{"openid": ref.OpenID, "unionid": ref.UnionID})
	}
	return ref, err
}

func advisorRef(in graph.AdvisorRef, field string) (ref services.AdvisorRef, err error) {
	if err = oneOf(field, in.ID != nil, value(in.Openid) != "", value(in.Unionid) != "", value(in.WechatID) != ""); err != nil {
		return ref, err
	}
	if in.ID != nil {
		ref.Key, err = key(*in.ID, models.KindAdvisor, field+".id")
	}
	ref.OpenID, ref.UnionID, ref.WechatID = value(in.Openid), value(in.Unionid), value(in.WechatID)
	if err == nil {
		err = idents(field, map[string]models.Ident{"openid": ref.OpenID, "unionid": ref.UnionID, "wechatId": ref.WechatID})
	}
	return ref, err
}

// bindingFilter decodes which changes of bindings are asked for; null: all.
func bindingFilter(in *graph.BindingFilter) (f services.BindingFilter, err error) {
	if in == nil {
		return f, nil
	}
	if in.Customer != nil {
		ref, err := customerRef(*in.Customer, "filter.customer")
		if err != nil {
			return f, err
		}
		f.Customer = &ref
	}
	if in.Advisor != nil {
		ref, err := advisorRef(*in.Advisor, "filter.advisor")
		if err != nil {
			return f, err
		}
		f.Advisor = &ref
	}
	return f, nil
}

// selection decodes whom a bulk call is for.
func selection(in *graph.CustomerSelection, field string) (sel services.CustomerSelection, err error) {
	if err := oneOf(field, in.These != nil, in.Matching != nil); err != nil {
		return sel, err
	}
	if in.Matching != nil {
		f, err := customerFilter(in.Matching, field+".matching")
		sel.Matching = &f
		return sel, err
	}
	sel.These = make([]services.CustomerRef, len(in.These))
	for i, ref := range in.These {
		if sel.These[i], err = customerRef(*ref, fmt.Sprintf("%s.these.%d", field, i)); err != nil {
			return sel, err
		}
	}
	return sel, nil
}

// customerFilter decodes which customers are asked for; null: all.
func customerFilter(in *graph.CustomerFilter, field string) (f services.CustomerFilter, err error) {
	if in == nil {
		return f, nil
	}
	f.Assigned = in.IsAssigned
	if in.Advisor != nil {
		ref, err := advisorRef(*in.Advisor, field+".advisor")
		if err != nil {
			return f, err
		}
		f.Advisor = &ref
	}
	if in.Group != nil {
		if f.Group, err = key(*in.Group, models.KindGroup, field+".group"); err != nil {
			return f, err
		}
	}
	f.OpenIDs, f.UnionIDs = in.Openids, in.Unionids
	for i, openid := range f.OpenIDs {
		if err := models.CheckIdent(string(openid), fmt.Sprintf("%s.openids.%d", field, i), limits.OpenIDBytes); err != nil {
			return f, err
		}
	}
	for i, unionid := range f.UnionIDs {
		if err := models.CheckIdent(string(unionid), fmt.Sprintf("%s.unionids.%d", field, i), limits.OpenIDBytes); err != nil {
			return f, err
		}
	}
	if f.Tags, err = tagFilter(in.Tags, field+".tags"); err != nil {
		return f, err
	}
	if in.Region != nil {
		f.Region = models.Region{Country: value(in.Region.Country), Province: value(in.Region.Province), City: value(in.Region.City)}
	}
	f.Source, f.FollowState = value(in.Source), value(in.FollowState)
	if f.Label, err = label(in.Label, field+".label"); err != nil {
		return f, err
	}
	f.BoundFrom, f.BoundUntil = value(in.BoundFrom), value(in.BoundUntil)
	if f.Search, err = searchText(in.Search, field+".search"); err != nil {
		return f, err
	}
	f.Interacted48h, f.Replied, f.OutreachLeft = in.IsInteractedWithin48h, in.HasReplied, in.OutreachLeft
	return f, nil
}

// searchText decodes a text to search for; null: none. INVALID for an empty one.
func searchText(in *string, field string) (string, error) {
	if in != nil && *in == "" {
		return "", models.Invalid(field, "is empty")
	}
	return value(in), nil
}

// tagFilter decodes which tags customers have; null: any.
func tagFilter(in *graph.TagFilter, field string) (f services.TagFilter, err error) {
	if in == nil {
		return f, nil
	}
	if f.Any, err = tagOptionRefs(in.Any, field+".any"); err != nil {
		return f, err
	}
	if f.All, err = tagOptionRefs(in.All, field+".all"); err != nil {
		return f, err
	}
	f.None, err = tagOptionRefs(in.None, field+".none")
	return f, err
}

// customerUpdates decodes what to write of customers: null clears a field, absence leaves it.
func customerUpdates(in []*graph.CustomerUpdateInput) (updates []services.CustomerUpdate, err error) {
	updates = make([]services.CustomerUpdate, len(in))
	for i, c := range in {
		u := &updates[i]
		if u.Customer, err = customerRef(*c.Customer, fmt.Sprintf("input.customers.%d.customer", i)); err != nil {
			return nil, err
		}
		u.Nickname, u.AvatarURL = cleared(c.Nickname), cleared(c.AvatarURL)
		if u.AvatarImage, err = clearedImage(c.AvatarImageID, fmt.Sprintf("input.customers.%d.avatarImageId", i)); err != nil {
			return nil, err
		}
		if info, set := c.Info.ValueOK(); set {
			u.Info = &info
		}
		if region, set := c.Region.ValueOK(); set {
			u.Region = &models.Region{}
			if region != nil {
				*u.Region = models.Region{Country: value(region.Country), Province: value(region.Province), City: value(region.City)}
			}
		}
	}
	return updates, nil
}

// cleared is a text to write, where null is the empty one; nil for a text that was not given.
func cleared(in graphql.Omittable[*string]) *string {
	given, set := in.ValueOK()
	if !set {
		return nil
	}
	text := value(given)
	return &text
}

// clearedImage is an image to refer to, where null is none; nil for one that was not given.
func clearedImage(in graphql.Omittable[*relay.ID], field string) (*models.Key, error) {
	given, set := in.ValueOK()
	switch {
	case !set:
		return nil, nil //nolint:nilnil // it stays.
	case given == nil:
		return &models.Key{}, nil
	}
	image, err := key(*given, models.KindImage, field)
	return &image, err
}

// taggings decodes which options to put on customers and to take off.
func taggings(in []*graph.CustomerTagsInput) (all []services.CustomerTagging, err error) {
	all = make([]services.CustomerTagging, len(in))
	for i, c := range in {
		field := fmt.Sprintf("input.customers.%d", i)
		if all[i].Customer, err = customerRef(*c.Customer, field+".customer"); err != nil {
			return nil, err
		}
		if all[i].Add, err = tagOptionRefs(c.Add, field+".add"); err != nil {
			return nil, err
		}
		if all[i].Remove, err = tagOptionRefs(c.Remove, field+".remove"); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func tagOptionRefs(in []*graph.TagOptionRef, field string) (refs []services.TagOptionRef, err error) {
	refs = make([]services.TagOptionRef, len(in))
	for i, ref := range in {
		field := fmt.Sprintf("%s.%d", field, i)
		if err := oneOf(field, ref.ID != nil, value(ref.Name) != ""); err != nil {
			return nil, err
		}
		if refs[i].Name = value(ref.Name); ref.ID != nil {
			if refs[i].Key, err = key(*ref.ID, models.KindTagOption, field+".id"); err != nil {
				return nil, err
			}
		}
	}
	return refs, nil
}

// bulkAnswer is the payload of a bulk call on customers, whatever its name.
type bulkAnswer struct {
	results  []*graph.CustomerResult
	job      *models.Job
	repeated bool
}

// bind decodes the rest of a call on bindings, makes it, and encodes what came of it; to is nil where
// nobody gets the customers.
func (r *Resolver) bind(ctx context.Context, in services.BindCustomers, idempotencyKey *string, customers *graph.CustomerSelection, to *graph.BindingTarget) (a bulkAnswer, err error) {
	if in.IdempotencyKey, err = bulkKey(idempotencyKey); err != nil {
		return a, err
	}
	if in.Customers, err = selection(customers, "input.customers"); err != nil {
		return a, err
	}
	if in.Advisor, in.Group, err = bindingTarget(to, "input.to"); err != nil {
		return a, err
	}
	done, err := r.Services.Bind(ctx, in)
	if err != nil {
		return a, err
	}
	a.job, a.repeated = done.Job, done.Repeated
	if done.Results != nil {
		a.results, err = r.customerResults(ctx, done.Results)
	}
	return a, err
}

// bindingTarget decodes who gets customers; nil: nobody.
func bindingTarget(to *graph.BindingTarget, field string) (advisor *services.AdvisorRef, group models.Key, err error) {
	if to == nil {
		return nil, group, nil
	}
	if err := oneOf(field, to.Advisor != nil, to.GroupID != nil); err != nil {
		return nil, group, err
	}
	if to.Advisor != nil {
		ref, err := advisorRef(*to.Advisor, field+".advisor")
		return &ref, group, err
	}
	group, err = key(*to.GroupID, models.KindGroup, field+".groupId")
	return nil, group, err
}

// bindingKeep decodes what goes with customers; all of it when absent.
func bindingKeep(in *graph.RebindKeepInput) models.BindingKeep {
	if in == nil {
		return models.BindingKeep{Nickname: true, Info: true, Tags: true, History: true}
	}
	return models.BindingKeep{
		Nickname: unlessFalse(in.Nickname), Info: unlessFalse(in.Info), Tags: unlessFalse(in.Tags), History: unlessFalse(in.History),
	}
}

// customerResults encodes what came of customers, and reads what they will show.
func (r *Resolver) customerResults(ctx context.Context, results []services.CustomerResult) ([]*graph.CustomerResult, error) {
	all := make([]*graph.CustomerResult, len(results))
	var customers []*models.Customer
	for i, res := range results {
		all[i] = &graph.CustomerResult{Customer: res.Customer, IsChanged: res.Changed, Error: models.AsItemError(res.Err)}
		if res.Customer != nil {
			customers = append(customers, res.Customer)
		}
	}
	return all, r.ofCustomers(ctx, customers)
}

// unlessFalse is a switch that is on when absent.
func unlessFalse(p *bool) bool { return p == nil || *p }

// policyOverrides decodes an account's own numbers; null: none.
func policyOverrides(in *graph.PolicyOverridesInput) *models.PolicyOverrides {
	o := &models.PolicyOverrides{}
	if in == nil {
		return o
	}
	o.OutreachPerMonth, o.OutreachSessionSeconds, o.OutreachMessages = in.OutreachPerMonth, in.OutreachSessionSeconds, in.OutreachMessages
	for _, a := range in.Actions {
		o.Actions = append(o.Actions, models.AllowanceOverride{Action: a.Action, Messages: a.Messages, Seconds: a.Seconds})
	}
	return o
}

// idents reports an identifier that is none; empty ones are absent.
func idents(field string, all map[string]models.Ident) error {
	for name, id := range all {
		if id != "" {
			if err := models.CheckIdent(string(id), field+"."+name, limits.OpenIDBytes); err != nil {
				return err
			}
		}
	}
	return nil
}

func loaders(ctx context.Context) *dataloaders.Loaders { return dataloaders.From(ctx) }

// mustShow turns a row that may not be seen into NOT_FOUND, for fields that are never null.
func mustShow[T any](row *T, err error, noun string) (*T, error) {
	if err == nil && row == nil {
		return nil, models.NotFound(noun, "")
	}
	return row, err
}

// closeForbidden is graphql-transport-ws's code for access that ended; clients come back with a
// fresh token.
const closeForbidden = 4403

// source is a service's watch as the transport parks it.
type source struct{ w *services.Watch }

func (s source) Attach(wake func()) { s.w.Attach(wake) }
func (s source) Close()             { s.w.Close() }

// Lost implements transport.Loser.
func (s source) Lost(silent time.Duration) { s.w.Lost(silent) }

func (s source) Take(ctx context.Context, most int) ([]transport.Event, error) {
	pushed, err := s.w.Take(ctx, most)
	if errors.Is(err, services.ErrAccessEnded) {
		err = &transport.CloseError{Code: closeForbidden, Reason: err.Error()}
	}
	taken := make([]transport.Event, len(pushed))
	for i, e := range pushed {
		meta := e.Meta()
		taken[i] = transport.Event{Value: e, Cursor: meta.Cursor, Same: meta.Same}
	}
	return slices.Clip(taken), err
}

// watch is the body of a subscription of an advisor's.
func watch[T any](ctx context.Context, s *services.Services, what services.Watched, after *string) (<-chan T, error) {
	return stream[T](ctx, after, func(ctx context.Context, after *string) (*services.Watch, error) { return s.Watch(ctx, what, after) })
}

// stream is the body of a subscription. A client that comes back to an event stream goes on behind the last event it got, whatever its
// document says (rule N4).
func stream[T any](ctx context.Context, after *string, open func(ctx context.Context, after *string) (*services.Watch, error)) (<-chan T, error) {
	return transport.Stream[T](ctx, func(ctx context.Context) (transport.Source, error) {
		if id, ok := transport.LastEventID(ctx); ok {
			after = &id
		}
		w, err := open(ctx, after)
		if err != nil {
			return nil, err
		}
		if c, ok := transport.CloserFromContext(ctx); ok {
			w.OnEnd(func(why error) { c.Close(closeForbidden, why.Error()) })
		}
		return source{w}, nil
	})
}

// members decodes a change of a group's members, makes it, and reads what its results show.
func (r *Resolver) members(
	ctx context.Context, group relay.ID, advisors []*graph.AdvisorRef,
	change func(context.Context, models.Key, []services.AdvisorRef) (*models.Group, []services.AdvisorResult, error),
) (*models.Group, []*graph.GroupAdvisorResult, error) {
	id, err := key(group, models.KindGroup, "input.groupId")
	if err != nil {
		return nil, nil, err
	}
	refs := make([]services.AdvisorRef, len(advisors))
	for i, a := range advisors {
		if refs[i], err = advisorRef(*a, fmt.Sprintf("input.advisors.%d", i)); err != nil {
			return nil, nil, err
		}
	}
	g, results, err := change(ctx, id, refs)
	if err != nil {
		return nil, nil, err
	}
	told := make([]*graph.GroupAdvisorResult, len(results))
	var shown []models.Key
	for i, res := range results {
		told[i] = &graph.GroupAdvisorResult{Advisor: res.Advisor, Error: models.AsItemError(res.Err)}
		if res.Advisor != nil {
			shown = append(shown, res.Advisor.Key)
		}
	}
	return g, told, r.ofAdvisors(ctx, shown)
}

// scanOutcome is the outcome of a scan; nil without one.
func scanOutcome(r services.InboundResult) *models.ScanOutcome {
	if r.Outcome == "" {
		return nil
	}
	return &r.Outcome
}

// image is the image that a row which is shown refers to; nil: none.
func (r *Resolver) image(ctx context.Context, key models.Key) (*models.Image, error) {
	return loaders(ctx).Avatar(ctx, key)
}
