package demo

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// tagOptions is the library of the demo: what customers care for, and what kind of member they are.
var tagOptions = map[string][]string{
	"喜好": {"服饰", "家居", "礼物"},
	"会员": {"金卡", "银卡"},
}

// setUpTags makes the library, or what of it is missing: a name that is taken is there already.
func (s *shop) setUpTags(ctx context.Context) error {
	integration := s.bearers[integrationName]
	for _, name := range slices.Sorted(maps.Keys(tagOptions)) {
		err := integration.ask(ctx, `mutation($input: CreateTagInput!) { createTag(input: $input) { tag { id } } }`, vars{"input": vars{"name": name}}, nil)
		if err != nil && !isCode(err, "NAME_TAKEN") {
			return err
		}
	}
	var out struct {
		Tags []struct{ ID, Name string }
	}
	if err := integration.ask(ctx, `{ tags { id name } }`, nil, &out); err != nil {
		return err
	}
	for _, tag := range out.Tags {
		for _, option := range tagOptions[tag.Name] {
			err := integration.ask(ctx, `mutation($input: CreateTagOptionInput!) { createTagOption(input: $input) { option { id } } }`,
				vars{"input": vars{"tagId": tag.ID, "name": option}}, nil)
			if err != nil && !isCode(err, "NAME_TAKEN") {
				return err
			}
		}
	}
	return nil
}

// tag puts on a customer what their advisor has come to know of them: what they care for, and of every
// other one that they are a member. Who has it already is left as they are.
func (p *player) tag(ctx context.Context, b bearer, s Step) error {
	of := func(tag string) vars { return vars{"name": tagOptions[tag][s.Customer%len(tagOptions[tag])]} }
	add := []vars{of("喜好")}
	const everyOther = 2
	if s.Customer/everyOther%everyOther == 0 {
		add = append(add, of("会员"))
	}
	var out struct {
		TagCustomers struct {
			Results []struct{ Error *struct{ Code string } }
		}
	}
	err := b.ask(ctx, `mutation($input: TagCustomersInput!) { tagCustomers(input: $input) { results { error { code } } } }`,
		vars{"input": vars{"customers": []vars{{"customer": vars{"openid": p.openID(s)}, "add": add}}}}, &out)
	if err != nil {
		return err
	}
	for _, r := range out.TagCustomers.Results {
		if r.Error != nil {
			return fmt.Errorf("tag: %s", r.Error.Code)
		}
	}
	return nil
}
