// Package inbox measures the page that an advisor's app opens with.
package inbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"clientele/bench/rig"
)

// Options are the sizes of a run.
type Options struct {
	rig.Flags

	Advisors  int           `default:"16" help:"Advisors whose pages are read."`
	Customers int           `default:"1000" help:"Customers of each of them."`
	Messages  int           `default:"10" help:"Messages of each customer."`
	Page      int           `default:"50" help:"Conversations of a page."`
	AtOnce    int           `default:"16" help:"Pages read at the same time."`
	Warm      time.Duration `default:"2s" help:"Time of reading before anything is measured."`
	Time      time.Duration `default:"10s" help:"Time of each measurement."`

	Large        int `default:"1000000" help:"Customers of the large account; 0: do not measure it."`
	LargeAdvisor int `default:"15000" help:"Customers of the advisor there whose page is read."`
}

// document asks for all that a line of the inbox shows. (There are no tags yet.)
const document = `query($first: Int) { inbox(first: $first) {
	nodes { id activeAt unreadCount hasReplied
		customer { id nickname followState lastInteractionAt }
		lastMessage { id direction status sentAt content { __typename ... on TextContent { text } } }
		contactability { answer reason left until outreachLeft againAt } }
	pageInfo { hasNextPage endCursor } } }`

func init() { rig.AddHelper("inbox", serveFloor) }

// Run measures and answers the line of figures. Times are what a page costs while so many are
// read at once: the measured time over the pages read in it.
func Run(ctx context.Context, o Options) (_ *rig.Line, err error) {
	l := rig.NewLine("inbox")
	shape := rig.Shape{Advisors: o.Advisors, Customers: o.Advisors * o.Customers, Messages: o.Advisors * o.Customers * o.Messages}
	one, err := small(ctx, o, shape, l)
	if err != nil {
		return nil, err
	}
	if o.Large > 0 {
		shape := rig.Shape{Advisors: max(1, o.Large/1000), Customers: o.Large, Messages: o.Large, First: o.LargeAdvisor}
		if err := large(ctx, o, shape, one, l); err != nil {
			return nil, err
		}
	}
	l.Add("page", o.Page).Add("at_once", o.AtOnce).Add("advisors", o.Advisors).Add("customers_each", o.Customers)
	return l, nil
}

// on runs f with the product on a data set.
func on(ctx context.Context, o Options, shape rig.Shape, f func(*rig.Rig) error) (err error) {
	r, err := rig.New(ctx, o.Flags, shape)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := r.StartServer(ctx, nil); err != nil {
		return err
	}
	return f(r)
}

// small compares pages of several advisors with the floors, and answers what a page of the first
// one alone costs.
func small(ctx context.Context, o Options, shape rig.Shape, l *rig.Line) (one time.Duration, err error) {
	err = on(ctx, o, shape, func(r *rig.Rig) error {
		pages, err := productPages(r, o, o.Advisors)
		if err != nil {
			return err
		}
		if err := statements(ctx, r, o, l); err != nil {
			return err
		}
		r.Tell("pages of %d advisors for %s", o.Advisors, o.Time)
		stop := r.StartProfile(ctx, "inbox", o.Time)
		usage := r.StartUsage()
		product, answer, err := read(ctx, o, r.Server.Addr, pages, l.AddQuantiles)
		if err != nil {
			return err
		}
		if err := errors.Join(usage.Stop(l, "page"), stop()); err != nil {
			return err
		}
		if one, _, err = read(ctx, o, r.Server.Addr, pages[:1], nil); err != nil {
			return err
		}
		if err := r.StopServer(); err != nil {
			return err
		}
		if err := floors(ctx, r, o, product, answer, l); err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		return r.AddMachine(ctx, l)
	})
	return one, err
}

// floors measures hand-written SQL with encoding/json, behind net/http as the product is, and
// gqlgen alone over the same page in memory.
func floors(ctx context.Context, r *rig.Rig, o Options, product time.Duration, answer []byte, l *rig.Line) (err error) {
	helper, err := r.StartHelper(ctx, "inbox", floorEnv+"="+r.Database.DSN(r.Set.Name), accountEnv+"="+r.Set.Account.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, helper.Stop()) }()
	pages := make([][]byte, o.Advisors)
	for i := range pages {
		pages[i] = fmt.Appendf(nil, "GET /sql?openid=%s&first=%d HTTP/1.1\r\nHost: %s\r\n\r\n", rig.AdvisorOpenID(i), o.Page, helper.Addr)
	}
	r.Tell("floor: hand-written SQL for %s", o.Time)
	sql, same, err := read(ctx, o, helper.Addr, pages, nil)
	if err != nil {
		return err
	}
	if err := equal(answer, same); err != nil {
		return fmt.Errorf("hand-written SQL: %w", err)
	}
	r.Tell("floor: gqlgen from memory for %s", o.Time)
	conn, err := dial(ctx, helper.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	text, err := conn.ask(fmt.Appendf(nil, "GET /memory?openid=%s&first=%d&at_once=%d&time=%s HTTP/1.1\r\nHost: %s\r\n\r\n",
		rig.AdvisorOpenID(0), o.Page, o.AtOnce, o.Time, helper.Addr))
	if err != nil {
		return err
	}
	var memory struct {
		Each   time.Duration
		Answer json.RawMessage
	}
	if err := json.Unmarshal(text, &memory); err != nil {
		return err
	}
	if err := equal(answer, memory.Answer); err != nil {
		return fmt.Errorf("gqlgen from memory: %w", err)
	}
	l.Add("page_ms", product).Add("sql_ms", sql).Add("ratio", float64(product)/float64(sql)).
		Add("gqlgen_ms", memory.Each).Add("ratio_with_gqlgen", float64(product)/float64(sql+memory.Each))
	return nil
}

// equal makes sure that a floor does the same work: it answers the same page. Extensions, in which the product tells what that cost, are no
// part of it.
func equal(a, b []byte) error {
	var x, y struct{ Data, Errors any }
	if err := errors.Join(json.Unmarshal(a, &x), json.Unmarshal(b, &y)); err != nil {
		return err
	}
	if !reflect.DeepEqual(x, y) {
		return fmt.Errorf("it answers another page:\n%.600s\n%.600s", a, b)
	}
	return nil
}

// large reads a page of an advisor with many customers in a large account.
func large(ctx context.Context, o Options, shape rig.Shape, one time.Duration, l *rig.Line) error {
	return on(ctx, o, shape, func(r *rig.Rig) error {
		pages, err := productPages(r, o, 1)
		if err != nil {
			return err
		}
		r.Tell("pages of an advisor of %d customers for %s", shape.First, o.Time)
		many, _, err := read(ctx, o, r.Server.Addr, pages, nil)
		l.Add("one_ms", one).Add("large_ms", many).Add("ratio_large", float64(many)/float64(one)).
			Add("large_customers", shape.Customers).Add("large_advisor", shape.First)
		return err
	})
}

// productPages are the requests of the first n advisors' pages.
func productPages(r *rig.Rig, o Options, n int) ([][]byte, error) {
	pages := make([][]byte, n)
	for i := range pages {
		var err error
		if pages[i], err = productPage(r, i, o.Page); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

func productPage(r *rig.Rig, advisor, first int) ([]byte, error) {
	token, err := r.AdvisorToken(advisor)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(map[string]any{"query": document, "variables": map[string]any{"first": first}})
	if err != nil {
		return nil, err
	}
	head := fmt.Sprintf("POST /graphql HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n",
		r.Server.Addr, token, len(body))
	return append([]byte(head), body...), nil
}

// statements counts what the database is asked for one page, of a few sizes.
func statements(ctx context.Context, r *rig.Rig, o Options, l *rig.Line) error {
	db, err := r.Database.Open("")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	conn, err := dial(ctx, r.Server.Addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	count := func() (n int, err error) {
		var name string
		return n, db.QueryRowContext(ctx, "SHOW GLOBAL STATUS LIKE 'Com_select'").Scan(&name, &n)
	}
	// What the product does beside answering asks too: the least of some tries is the page's.
	const tries = 9
	for _, size := range []int{1, 10, o.Page, 200} {
		request, err := productPage(r, 0, size)
		if err != nil {
			return err
		}
		least := 0
		for try := range tries {
			before, err := count()
			if err != nil {
				return err
			}
			if _, err := conn.ask(request); err != nil {
				return err
			}
			after, err := count()
			if err != nil {
				return err
			}
			if n := after - before; try == 0 || n < least {
				least = n
			}
		}
		l.Add(fmt.Sprintf("selects_of_%d", size), least)
	}
	return nil
}
