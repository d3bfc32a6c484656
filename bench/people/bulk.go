package people

import (
	"context"
	"fmt"
	"time"

	"clientele/bench/rig"
	"clientele/internal/relay"
	"clientele/models"
)

const (
	unbindText = `mutation($c: CustomerSelection!) { unbindCustomers(input: {customers: $c}) { results { error { code } } } }`
	assignText = `mutation($c: CustomerSelection!, $to: BindingTarget!) { assignCustomers(input: {customers: $c, to: $to}) { results { isChanged error { code } } } }`
	rebindText = `mutation($c: CustomerSelection!, $to: BindingTarget!) { rebindCustomers(input: {customers: $c, to: $to}) { results { isChanged error { code } } } }`
	tagText    = `mutation($c: [CustomerTagsInput!]!) { tagCustomers(input: {customers: $c}) { results { isChanged error { code } } } }`
)

// bulk has the product and the floor assign, rebind and tag, in turn, each time others, all whom had no
// advisor before.
func (r *run) bulk(ctx context.Context) error {
	r.Tell("%d rounds of assigning, rebinding and tagging %d", r.Rounds, r.Batch)
	first, second := r.Set.Advisors-1, r.Set.Advisors-2
	times := map[string][]int64{}
	var wrote [2]map[string]int64 // by the product, and by the floor
	for round := range r.Rounds {
		for side := range 2 {
			who := r.some(2*round + side)
			if err := r.call(ctx, unbindText, map[string]any{"c": theseOf(who)}); err != nil {
				return err
			}
			if err := r.call(ctx, tagText, map[string]any{"c": tagging(who, "remove")}); err != nil {
				return err
			}
			before, err := r.floor.rows(ctx, round == 0)
			if err != nil {
				return err
			}
			// They go to the last but one in turn, and nobody gets more than there is room for.
			to := second - 1 - (2*round+side)%(r.Set.Advisors/2)
			steps := []struct {
				name string
				do   func() error
			}{
				{"assign", func() error {
					return r.call(ctx, assignText, map[string]any{"c": theseOf(who), "to": toAdvisor(first)})
				}},
				{"rebind", func() error {
					return r.call(ctx, rebindText, map[string]any{"c": theseOf(who), "to": toAdvisor(to)})
				}},
				{"tag", func() error { return r.call(ctx, tagText, map[string]any{"c": tagging(who, "add")}) }},
			}
			prefix := ""
			if side == 1 {
				prefix = "floor_"
				steps[0].do = func() error { return r.floor.bind(ctx, who, first, -1) }
				steps[1].do = func() error { return r.floor.bind(ctx, who, to, first) }
				steps[2].do = func() error { return r.floor.tag(ctx, who, to, r.option) }
			}
			for _, step := range steps {
				began := time.Now()
				if err := step.do(); err != nil {
					return fmt.Errorf("%s%s: %w", prefix, step.name, err)
				}
				times[prefix+step.name] = append(times[prefix+step.name], int64(time.Since(began)))
			}
			after, err := r.floor.rows(ctx, round == 0)
			if err != nil {
				return err
			}
			if wrote[side] == nil {
				wrote[side] = less(after, before)
			}
		}
	}
	if fmt.Sprint(wrote[0]) != fmt.Sprint(wrote[1]) {
		return fmt.Errorf("the product wrote rows %v, the floor %v", wrote[0], wrote[1])
	}
	for _, name := range []string{"assign", "rebind", "tag"} {
		product, floor := median(times[name]), median(times["floor_"+name])
		r.line.Add(name+"_ms", product).Add("floor_"+name+"_ms", floor).Add("ratio_"+name, float64(product)/float64(floor))
	}
	return nil
}

// some are the n-th batch of customers, none of the first advisor's.
func (r *run) some(n int) []string {
	who := make([]string, r.Batch)
	for i := range who {
		who[i] = rig.CustomerOpenID(r.First + (n*r.Batch+i)%(r.Customers-r.First))
	}
	return who
}

// call makes a bulk call in which every item succeeds.
func (r *run) call(ctx context.Context, document string, variables map[string]any) error {
	var answer map[string]struct {
		Results []struct{ Error *struct{ Code string } }
	}
	if err := r.Ask(ctx, r.admin, document, variables, &answer); err != nil {
		return err
	}
	for name, a := range answer {
		if len(a.Results) != r.Batch {
			return fmt.Errorf("%s has %d results", name, len(a.Results))
		}
		for i, result := range a.Results {
			if result.Error != nil {
				return fmt.Errorf("%s of customer %d: %s", name, i, result.Error.Code)
			}
		}
	}
	return nil
}

func theseOf(openids []string) map[string]any {
	refs := make([]map[string]string, len(openids))
	for i, o := range openids {
		refs[i] = map[string]string{"openid": o}
	}
	return map[string]any{"these": refs}
}

func toAdvisor(i int) map[string]any {
	return map[string]any{"advisor": map[string]string{"openid": rig.AdvisorOpenID(i)}}
}

func tagging(openids []string, how string) []map[string]any {
	items := make([]map[string]any, len(openids))
	for i, o := range openids {
		items[i] = map[string]any{"customer": map[string]string{"openid": o}, how: []map[string]string{{"name": tagName}}}
	}
	return items
}

func keyOf(id string) (models.Key, error) {
	parsed, ok := relay.ParseID(id)
	if !ok {
		return models.Key{}, fmt.Errorf("%q is no id", id)
	}
	return models.Key(parsed.Key), nil
}

// less is how much more of each there is after than before.
func less(after, before map[string]int64) map[string]int64 {
	more := map[string]int64{}
	for name, n := range after {
		more[name] = n - before[name]
	}
	return more
}
