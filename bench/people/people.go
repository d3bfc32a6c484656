// Package people measures what the merchant does to many customers at once: bulk calls, the import of a file,
// and lists of customers of a large account.
package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"clientele/bench/rig"
	"clientele/models"
)

// Options are the sizes of a run.
type Options struct {
	rig.Flags

	Customers int `default:"1000000" help:"Customers of the account, bound evenly to an advisor for each thousand, but for the first advisor's."`
	First     int `default:"15000" help:"Customers of the first advisor, whose lists are read."`

	Batch  int `default:"500" help:"Customers of a bulk call."`
	Rounds int `default:"20" help:"Bulk calls of each kind, by the product and by the floor in turn."`

	Import int `default:"100000" help:"Records of the file that is imported."`

	Page int           `default:"50" help:"Customers of a page."`
	Deep int           `default:"100" help:"The number of the page that is far down the list."`
	Time time.Duration `default:"3s" help:"Time of reading each page again and again."`
}

// run is one run.
type run struct {
	Options
	*rig.Rig
	admin string // a token
	floor *floor
	line  *rig.Line
	// option is the option that customers are tagged with, tagName its text.
	option models.Key
	stamp  string // keeps apart what runs on one data set make
}

// Run measures and answers the line of figures. A ratio is that of the medians, of bulk calls; of the whole times, of the import.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	shape := rig.Shape{Advisors: max(2*o.Rounds+4, o.Customers/1000), Customers: o.Customers, Messages: o.Customers, First: o.First}
	r := &run{Options: o, line: rig.NewLine("people"), stamp: fmt.Sprintf("%x", time.Now().UnixNano())}
	if r.Rig, err = rig.New(ctx, o.Flags, shape); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.StartServer(ctx, nil); err != nil {
		return nil, err
	}
	if r.admin, err = r.AdminToken(); err != nil {
		return nil, err
	}
	if r.floor, err = newFloor(ctx, r.Rig); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.floor.close()) }()
	for _, part := range []func(context.Context) error{r.tag, r.lists, r.bulk, r.imports} {
		if err := part(ctx); err != nil {
			return nil, err
		}
	}
	r.line.Add("customers", o.Customers).Add("first", o.First).Add("batch", o.Batch)
	return r.line, r.AddMachine(ctx, r.line)
}

const tagName = "bench"

// tag finds or makes the option that customers are tagged with.
func (r *run) tag(ctx context.Context) error {
	var have struct {
		Tags []struct {
			ID      string
			Options []struct{ ID, Name string }
		}
	}
	if err := r.Ask(ctx, r.admin, `{ tags { id options { id name } } }`, nil, &have); err != nil {
		return err
	}
	if len(have.Tags) == 0 {
		if err := r.Ask(ctx, r.admin, `mutation { createTag(input: {name: "bench"}) { tag { id } } }`, nil, nil); err != nil {
			return err
		}
		return r.tag(ctx)
	}
	for _, o := range have.Tags[0].Options {
		if o.Name == tagName {
			var err error
			r.option, err = keyOf(o.ID)
			return err
		}
	}
	err := r.Ask(ctx, r.admin, `mutation($t: ID!, $n: String!) { createTagOption(input: {tagId: $t, name: $n}) { option { id } } }`,
		map[string]any{"t": have.Tags[0].ID, "n": tagName}, nil)
	if err != nil {
		return err
	}
	return r.tag(ctx)
}

const (
	listText = `query($a: Identifier!, $first: Int!, $after: String) { customers(first: $first, after: $after, filter: {advisor: {openid: $a}}) {
		nodes { id openid nickname followState boundAt source tags { name } advisor { nickname } } pageInfo { hasNextPage endCursor } } }`
	smallAdvisor = 1 // one whose list is compared with the first one's
)

// lists reads the first page of the first advisor's customers and one far down, and the same of an advisor
// of about a thousand.
func (r *run) lists(ctx context.Context) error {
	times := map[string]time.Duration{}
	for _, read := range []struct {
		name    string
		advisor int
		page    int
	}{{"small", smallAdvisor, 1}, {"small_deep", smallAdvisor, max(1, min(r.Deep, (r.Customers-r.First)/(r.Set.Advisors-1)/r.Page))}, {"large", 0, 1}, {"large_deep", 0, r.Deep}} {
		variables := map[string]any{"a": rig.AdvisorOpenID(read.advisor), "first": r.Page}
		var got struct {
			Customers struct {
				Nodes    []struct{ ID string }
				PageInfo struct{ EndCursor string }
			}
		}
		for range read.page - 1 {
			if err := r.Ask(ctx, r.admin, listText, variables, &got); err != nil {
				return err
			}
			variables["after"] = got.Customers.PageInfo.EndCursor
		}
		r.Tell("page %d of advisor %d for %s", read.page, read.advisor, r.Time)
		var each []int64
		for until := time.Now().Add(r.Time); time.Now().Before(until) || len(each) == 0; {
			began := time.Now()
			if err := r.Ask(ctx, r.admin, listText, variables, &got); err != nil {
				return err
			}
			each = append(each, int64(time.Since(began)))
		}
		if len(got.Customers.Nodes) != r.Page {
			return fmt.Errorf("page %d of advisor %d has %d customers", read.page, read.advisor, len(got.Customers.Nodes))
		}
		times[read.name] = median(each)
		r.line.Add("list_"+read.name+"_ms", times[read.name])
	}
	r.line.Add("ratio_list", float64(times["large"])/float64(times["small"])).Add("ratio_list_deep", float64(times["large_deep"])/float64(times["small_deep"]))
	return nil
}

func median(times []int64) time.Duration {
	return rig.Quantiles(slices.Clone(times), 0.5)[0]
}
