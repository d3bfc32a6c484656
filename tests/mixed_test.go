package tests

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
)

// Ensure a batch of customers of whom some are good, unknown, another account's, bound already or there twice is answered for each
// in order, by every call that takes a batch, and that what fails hurts no other; and that one customer too many is refused whole
// (rules E5, E8, F2, V4).
func TestMixedBatches(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{sweep: time.Hour})
		a := w.found(setup{Advisors: []string{"anna", "ben"}, Tags: []string{"level of gold"}, Followers: []string{"wei", "li"}, Customers: []string{"bao of ben", "qi of anna"}}, "main")
		other := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"theirs of anna"}}, "other")
		theirs := other.checksum(other.account)
		batch := []map[string]any{
			{"openid": "wei"}, {"openid": "nobody"}, {"id": other.names["id theirs"]}, {"openid": "wei"}, {"openid": "bao"}, {"id": a.names["id qi"]}, {"openid": "li"}, {"openid": "theirs"},
		}
		selection := func(refs []map[string]any) any { return map[string]any{"these": refs} }
		each := func(name string, value any) func(refs []map[string]any) any {
			return func(refs []map[string]any) any {
				items := make([]map[string]any, len(refs))
				for i, ref := range refs {
					items[i] = map[string]any{"customer": ref, name: value}
				}
				return items
			}
		}
		for _, call := range []struct {
			name, query string
			to          any
			customers   func(refs []map[string]any) any
			want        []string
		}{
			{"assignCustomers", assignText, toAdvisor("anna"), selection, []string{"true", "NOT_FOUND", "NOT_FOUND", "DUPLICATE", "BOUND_TO_ANOTHER_ADVISOR", "false", "true", "NOT_FOUND"}},
			{"rebindCustomers", rebindText, toAdvisor("ben"), selection, []string{"true", "NOT_FOUND", "NOT_FOUND", "DUPLICATE", "false", "true", "true", "NOT_FOUND"}},
			{"tagCustomers", tagText, nil, each("add", []map[string]any{{"name": "gold"}}), []string{"true", "NOT_FOUND", "NOT_FOUND", "DUPLICATE", "true", "true", "true", "NOT_FOUND"}},
			{"updateCustomers", updateText, nil, each("nickname", "x"), []string{"true", "NOT_FOUND", "NOT_FOUND", "DUPLICATE", "true", "true", "true", "NOT_FOUND"}},
			{"unbindCustomers", unbindText, nil, selection, []string{"true", "NOT_FOUND", "NOT_FOUND", "DUPLICATE", "true", "true", "true", "NOT_FOUND"}},
		} {
			variables := func(refs []map[string]any) map[string]any {
				v := map[string]any{"c": call.customers(refs)}
				if call.to != nil {
					v["to"] = call.to
				}
				return v
			}
			ours := a.checksum(a.account)
			many := slices.Concat(slices.Repeat(batch, limits.BindBatch/len(batch)), batch[:limits.BindBatch%len(batch)+1])
			if got := a.try("admin", call.query, variables(many)); len(many) != limits.BindBatch+1 || got.code() != "LIMIT_EXCEEDED" || got.Errors[0].Extensions["limit"] != float64(limits.BindBatch) {
				t.Errorf("%s of %d: %.300s", call.name, len(many), got.body)
			}
			if a.checksum(a.account).changed(ours) != "" {
				t.Errorf("%s of one too many changed rows", call.name)
			}
			var got []string
			for _, item := range a.do("admin", call.query, variables(batch)).field(call.name + ".results").([]any) {
				r := &answer{Data: item}
				if code := r.text("error.code"); code != "" {
					got = append(got, code)
				} else {
					got = append(got, fmt.Sprint(r.field("isChanged")))
				}
			}
			if !slices.Equal(got, call.want) {
				t.Errorf("%s answers %q, want %q", call.name, got, call.want)
			}
		}
		w.sound()
		if other.checksum(other.account).changed(theirs) != "" {
			t.Error("rows of the other account changed")
		}
	})
}
