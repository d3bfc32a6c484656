package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"time"
)

// player makes the product live through a story, by the means that everybody has: the API.
type player struct {
	shop *shop
	apps []*advisorApp // of advisor n at n-1
	// progress is saved after each step.
	progress *progress
	out      io.Writer
	log      *slog.Logger
}

// play takes steps, each after a pause, until there are no more or ctx ends. What the product refuses is logged and
// passed over, because whoever watches the demo may change the same account by hand.
func (p *player) play(ctx context.Context, steps iter.Seq[Step], pause time.Duration) error {
	for s := range steps {
		if err := rest(ctx, pause); err != nil {
			return err
		}
		if err := p.take(ctx, s); err != nil {
			return err
		}
		p.progress.Step++
		if err := p.shop.folder.save(*p.progress); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// take takes one step; it fails only when ctx ends.
func (p *player) take(ctx context.Context, s Step) error {
	err := p.act(ctx, s)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		p.log.WarnContext(ctx, "a step of the story failed", "step", p.progress.Step, "kind", string(s.Kind), "error", err)
	}
	return nil
}

func rest(ctx context.Context, pause time.Duration) error {
	if pause <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// skipped is what is left of a sequence behind its first n items.
func skipped[T any](all iter.Seq[T], n int) iter.Seq[T] {
	return func(yield func(T) bool) {
		i := 0
		for v := range all {
			if i++; i > n && !yield(v) {
				return
			}
		}
	}
}

// taken is the first n items of a sequence.
func taken[T any](all iter.Seq[T], n int) iter.Seq[T] {
	return func(yield func(T) bool) {
		i := 0
		for v := range all {
			if i++; i > n || !yield(v) || i == n {
				return
			}
		}
	}
}

// The mutations that drive followers.
const (
	followDocument   = `mutation($input: SimulateFollowInput!) { simulateFollow(input: $input) { customer { id } outcome } }`
	unfollowDocument = `mutation($input: SimulateUnfollowInput!) { simulateUnfollow(input: $input) { customer { id } } }`
	scanDocument     = `mutation($input: SimulateScanInput!) { simulateScan(input: $input) { customer { id } outcome } }`
	menuDocument     = `mutation($input: SimulateMenuClickInput!) { simulateMenuClick(input: $input) { customer { id } } }`
	writeDocument    = `mutation($input: SimulateMessageInput!) { simulateMessage(input: $input) { customer { id } } }`
)

func (p *player) act(ctx context.Context, s Step) error {
	in := vars{"openid": p.openID(s), "eventId": p.name(s)}
	switch s.Kind {
	case StepArrive, StepReturn:
		if s.Code != "" {
			in["scene"] = p.shop.sceneOf(s)
		}
		return p.simulate(ctx, followDocument, in)
	case StepLeave:
		return p.simulate(ctx, unfollowDocument, in)
	case StepScan:
		in["scene"] = p.shop.sceneOf(s)
		return p.simulate(ctx, scanDocument, in)
	case StepMenu:
		return p.simulate(ctx, menuDocument, in)
	case StepWrite:
		in["text"] = s.Text
		return p.simulate(ctx, writeDocument, in)
	case StepRead:
		return p.serve(ctx, s, p.read)
	case StepAnswer:
		return p.serve(ctx, s, p.answer)
	case StepClose:
		return p.apps[s.Advisor-1].close(ctx)
	case StepOpen:
		return p.apps[s.Advisor-1].open(ctx)
	}
	return fmt.Errorf("%q is no step", s.Kind)
}

func (p *player) openID(s Step) string { return OpenID(p.progress.Seed, s.Customer) }

// name is the same for the same step of the same story: a step that was taken, but not saved as
// taken when the demo was killed, is then a repeat, which the product counts once. An arrival is
// the same one in every story of its seed.
func (p *player) name(s Step) string {
	if s.Kind == StepArrive {
		return fmt.Sprintf("arrival-%d-%d", p.progress.Seed, s.Customer)
	}
	return fmt.Sprintf("story-%d-%d-%d", p.progress.Seed, p.progress.Customers, p.progress.Step)
}

func (p *player) simulate(ctx context.Context, document string, in vars) error {
	return p.shop.bearers[adminName].ask(ctx, document, vars{"input": in}, nil)
}

// serve lets the advisor whose customer it is now do something. Nobody's customer is left alone.
func (p *player) serve(ctx context.Context, s Step, do func(context.Context, bearer, Step) error) error {
	var out struct {
		Customer struct {
			Advisor *struct{ ExternalID string }
		}
	}
	err := p.shop.bearers[integrationName].ask(ctx, `query($by: CustomerRef!) { customer(by: $by) { advisor { externalId } } }`,
		vars{"by": vars{"openid": p.openID(s)}}, &out)
	if err != nil {
		return err
	}
	if out.Customer.Advisor == nil {
		return errors.New("nobody serves the customer")
	}
	b, ok := p.shop.bearers[out.Customer.Advisor.ExternalID]
	if !ok {
		return errors.New("the customer's advisor is none of the demo's")
	}
	return do(ctx, b, s)
}

func (p *player) read(ctx context.Context, b bearer, s Step) error {
	return b.ask(ctx,
		`mutation($input: MarkConversationReadInput!) { markConversationRead(input: $input) { conversation { unreadCount } } }`,
		vars{"input": vars{"customer": vars{"openid": p.openID(s)}}}, nil)
}

// answer writes only where "May I write?" says that it is free (rule G4).
func (p *player) answer(ctx context.Context, b bearer, s Step) error {
	customer := vars{"openid": p.openID(s)}
	var out struct {
		Contactability struct {
			Answer string
			Reason *string
		}
	}
	err := b.ask(ctx, `query($customer: CustomerRef!) { contactability(customer: $customer) { answer reason } }`,
		vars{"customer": customer}, &out)
	if err != nil {
		return err
	}
	if c := out.Contactability; c.Answer != "FREE" {
		reason := c.Answer
		if c.Reason != nil {
			reason = *c.Reason
		}
		p.log.InfoContext(ctx, "an advisor may not write", "step", p.progress.Step, "reason", reason)
		return nil
	}
	if err := p.tag(ctx, b, s); err != nil {
		return err
	}
	return b.ask(ctx, `mutation($input: SendMessageInput!) { sendMessage(input: $input) { message { id status } } }`,
		vars{"input": vars{"customer": customer, "text": s.Text, "idempotencyKey": p.name(s)}}, nil)
}

// tellEvery is after how many arrivals a long set-up says that it is still at it.
const tellEvery = 2_000

// arrivals sets customers up who do nothing else: all of them, for a demo without a story.
func (p *player) arrivals(ctx context.Context) error {
	for c := p.progress.Arrived + 1; c <= p.progress.Customers; c++ {
		if err := p.take(ctx, Arrival(p.progress.Seed, c)); err != nil {
			return err
		}
		p.tell(c, p.progress.Customers)
	}
	p.progress.Arrived = max(p.progress.Arrived, p.progress.Customers)
	return p.shop.folder.save(*p.progress)
}

// regulars plays the beginning of the story, which everybody who is there when the doors open
// has behind them.
func (p *player) regulars(ctx context.Context, story iter.Seq[Step]) error {
	all := Regulars(p.progress.Customers)
	told := func(yield func(Step) bool) {
		for s := range skipped(taken(story, all), p.progress.Step) {
			if !yield(s) {
				return
			}
			p.tell(s.Customer, all)
		}
	}
	return p.play(ctx, told, 0)
}

func (p *player) tell(done, all int) {
	if done%tellEvery == 0 && done < all {
		// Whoever does not read this does not miss anything.
		_, _ = fmt.Fprintf(p.out, "setting up: %d of %d customers follow\n", done, all)
	}
}
