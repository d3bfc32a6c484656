package services_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"clientele/auth"
	"clientele/events"
	"clientele/internal/testkit"
	"clientele/models"
	"clientele/services"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// ledgers is an account with two customers, as the services keep them, beside the slow model.
type ledgers struct {
	s       *services.Services
	clock   *testkit.Clock
	account *models.Account
	advisor *models.Advisor

	// quiet: the customer does nothing, so that all contact is outreach.
	quiet     bool
	numbers   numbers
	people    map[string]*person // by openid
	keys      map[string]models.Key
	made      int                      // things that want a name of their own
	payments  []services.Payment       // reported so far
	massSends []services.MassSend      // recorded so far
	drawn     *rapid.T                 // of the present step
	openids   *rapid.Generator[string] // one of the customers
}

func (l *ledgers) as(role auth.Role) context.Context {
	v := &auth.Viewer{Role: role, Account: l.account.Key.String(), Subject: "x"}
	if role == auth.RoleAdvisor {
		v.SubjectKind, v.SubjectValue = auth.SubjectOpenID, string(l.advisor.OpenID)
	}
	return services.WithViewer(context.Background(), v, "test")
}

func (l *ledgers) now() models.Time { return l.clock.Time() }

func (l *ledgers) name(of string) string {
	l.made++
	return fmt.Sprintf("%s%d", of, l.made)
}

// ago is an instant now or before.
func (l *ledgers) ago(spans ...time.Duration) models.Time {
	spans = append([]time.Duration{0, 0, 0, time.Microsecond, time.Second, time.Minute, time.Hour, 47 * time.Hour, 49 * time.Hour}, spans...)
	return l.now().Add(-rapid.SampledFrom(spans).Draw(l.drawn, "ago"))
}

func (l *ledgers) customer() (string, *person) {
	openid := l.openids.Draw(l.drawn, "customer")
	return openid, l.people[openid]
}

func (l *ledgers) must(err error) {
	l.drawn.Helper()
	if err != nil {
		l.drawn.Fatal(err)
	}
}

func (l *ledgers) wantCode(what string, err error, want models.Code) {
	l.drawn.Helper()
	if got := models.CodeOf(err); got != want {
		l.drawn.Fatalf("%s: %q (%v), the model says %q", what, got, err, want)
	}
}

func (l *ledgers) ingest(kind models.InboundKind, openid, scene string, at models.Time) {
	l.drawn.Helper()
	in := models.Inbound{Kind: kind, OpenID: openid, DedupKey: l.name("in"), At: at, Scene: scene}
	if kind == models.InboundMessage {
		in.Content = &models.InboundContent{Kind: models.ContentText, Text: "x"}
	}
	_, err := l.s.Ingest(context.Background(), l.account.Key, in)
	l.must(err)
}

func (l *ledgers) steps() map[string]func(*rapid.T) {
	steps := map[string]func(){
		"writes": func() {
			openid, p := l.customer()
			at := l.ago()
			l.ingest(models.InboundMessage, openid, "", at)
			p.did(models.ActionMessage, at, l.numbers)
		},
		"clicks": func() {
			openid, p := l.customer()
			at := l.ago()
			l.ingest(models.InboundMenu, openid, "", at)
			p.did(models.ActionMenu, at, l.numbers)
		},
		"scans": func() {
			openid, p := l.customer()
			at := l.ago()
			l.ingest(models.InboundScan, openid, "nobody", at)
			p.did(models.ActionScan, at, l.numbers)
		},
		"follows": func() {
			openid, p := l.customer()
			at := l.ago()
			l.ingest(models.InboundFollow, openid, "", at)
			p.followed(at, l.numbers)
		},
		"leaves": func() {
			openid, p := l.customer()
			at := l.ago()
			l.ingest(models.InboundUnfollow, openid, "", at)
			p.unfollowed(at)
		},
		"pays":              l.pays,
		"sends":             l.sends,
		"sends on":          l.sends,
		"confirms":          l.confirms,
		"is settled":        l.settles,
		"is resent":         l.resends,
		"mass send to all":  func() { l.sendsToMany(true) },
		"mass send to list": func() { l.sendsToMany(false) },
		"clock":             l.moves,
		"policy":            l.policy,
		"":                  l.check,
	}
	if l.quiet {
		for _, name := range []string{"writes", "clicks", "scans", "follows", "leaves", "pays", "policy", "mass send to list"} {
			delete(steps, name)
		}
		steps["confirms on"], steps["is settled on"], steps["a session ends"] = l.confirms, l.settles, l.ends
	}
	all := map[string]func(*rapid.T){}
	for name, step := range steps {
		all[name] = func(t *rapid.T) {
			l.drawn = t
			step()
		}
	}
	return all
}

func (l *ledgers) pays() {
	if len(l.payments) > 0 && rapid.IntRange(0, 3).Draw(l.drawn, "again") == 0 {
		again := rapid.SampledFrom(l.payments).Draw(l.drawn, "payment")
		if l.now()-again.At > models.Time((29 * 24 * time.Hour).Microseconds()) {
			l.drawn.Skip("too old to be told again")
		}
		results, err := l.s.RecordPayments(l.as(auth.RoleIntegration), []services.Payment{again})
		l.must(err)
		if results[0].Err != nil || !results[0].Repeated {
			l.drawn.Fatalf("a payment again: %+v", results[0])
		}
		return
	}
	var batch []services.Payment
	for range rapid.IntRange(1, 2).Draw(l.drawn, "payments") {
		openid, p := l.customer()
		at := l.ago()
		batch = append(batch, services.Payment{Customer: services.CustomerRef{OpenID: models.Ident(openid)}, TransactionID: models.Ident(l.name("t")), At: at})
		p.did(models.ActionPayment, at, l.numbers)
	}
	results, err := l.s.RecordPayments(l.as(auth.RoleAdmin), batch)
	l.must(err)
	for _, r := range results {
		if r.Err != nil || r.Repeated {
			l.drawn.Fatalf("a payment: %+v", r)
		}
	}
	l.payments = append(l.payments, batch...)
}

func (l *ledgers) sends() {
	openid, p := l.customer()
	m, err := l.s.Send(l.as(auth.RoleAdvisor), services.Outgoing{
		To: services.CustomerRef{OpenID: models.Ident(openid)}, Text: "x", IdempotencyKey: l.name("k"),
	})
	a, code := p.send(l.now(), l.numbers)
	l.wantCode("send", err, code)
	if a != nil {
		w := &letter{key: m.Key, attempt: a}
		p.letters, p.queue = append(p.letters, w), append(p.queue, w)
	}
}

func (l *ledgers) confirms() {
	openid, p := l.customer()
	_, consumed, err := l.s.ConfirmOutreach(l.as(auth.RoleAdvisor), services.CustomerRef{Key: l.keys[openid]})
	want, code := p.confirm(l.now(), l.numbers)
	l.wantCode("confirm", err, code)
	if consumed != want {
		l.drawn.Fatalf("consumed: %t, the model says %t", consumed, want)
	}
}

func (l *ledgers) settles() {
	openid, p := l.customer()
	if len(p.queue) == 0 {
		l.drawn.Skip("nothing is under way")
	}
	status := rapid.SampledFrom([]models.MessageStatus{
		models.StatusSent, models.StatusFailed, models.StatusFailed, models.StatusFailed, models.StatusUnknown,
	}).Draw(l.drawn, "outcome")
	why := &services.Refusal{Reason: models.FailedRejected}
	at := l.now().Add(-rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(l.drawn, "handed over"))
	if status == models.StatusFailed {
		switch rapid.IntRange(0, 5).Draw(l.drawn, "platform") {
		case 0:
			why.WindowOver = true
		case 1:
			why.WindowSpent = true
		}
	}
	key, err := l.s.SettleFirst(context.Background(), l.account.Key, l.keys[openid], status, why, at)
	l.must(err)
	// Which of them leaves first is the queue's affair.
	i := slices.IndexFunc(p.queue, func(w *letter) bool { return w.key == key })
	if i < 0 {
		l.drawn.Fatalf("%s was under way, and the model does not know it", key)
	}
	p.settled(p.queue[i].attempt, status, l.now())
	p.queue = slices.Delete(p.queue, i, i+1)
	if status == models.StatusFailed && (why.WindowOver || why.WindowSpent) {
		p.platform(at, why.WindowOver)
	}
}

func (l *ledgers) resends() {
	_, p := l.customer()
	if len(p.letters) == 0 {
		l.drawn.Skip("nothing was sent")
	}
	w := rapid.SampledFrom(p.letters).Draw(l.drawn, "message")
	_, err := l.s.Resend(l.as(auth.RoleAdvisor), w.key, l.name("k"))
	if w.state != models.StatusFailed && w.state != models.StatusUnknown {
		l.wantCode("resend", err, models.CodeState)
		return
	}
	a, code := p.send(l.now(), l.numbers)
	l.wantCode("resend", err, code)
	if a != nil {
		w.attempt = a
		p.queue = append(p.queue, w)
	}
}

// sendsToMany records a new mass send, or one again.
func (l *ledgers) sendsToMany(toAll bool) {
	if len(l.massSends) > 0 && rapid.IntRange(0, 3).Draw(l.drawn, "again") == 0 {
		again := rapid.SampledFrom(l.massSends).Draw(l.drawn, "mass send")
		_, repeated, err := l.s.RecordMassSend(l.as(auth.RoleIntegration), again)
		l.must(err)
		if !repeated {
			l.drawn.Fatal("a mass send again is not repeated")
		}
		return
	}
	in := services.MassSend{Key: models.Ident(l.name("m")), At: l.ago(10*24*time.Hour, 35*24*time.Hour), ToAll: toAll}
	if !toAll {
		in.OpenIDs = append(in.OpenIDs, "nobody")
		for _, openid := range slices.Sorted(maps.Keys(l.people)) {
			if rapid.Bool().Draw(l.drawn, openid) {
				in.OpenIDs = append(in.OpenIDs, models.Ident(openid))
				l.people[openid].massSent(in.At)
			}
		}
	} else {
		for _, p := range l.people {
			p.massSentToAll(in.At)
		}
	}
	m, repeated, err := l.s.RecordMassSend(l.as(auth.RoleAdmin), in)
	l.must(err)
	if repeated || m.IsToAll() != toAll || !toAll && m.Counted != len(in.OpenIDs)-1 {
		l.drawn.Fatalf("mass send: %+v", m)
	}
	l.massSends = append(l.massSends, in)
}

func (l *ledgers) moves() {
	_, p := l.customer()
	_, session := p.newestOutreach()
	now := l.now()
	next := p.startOf(p.month(now) + 1)
	to := rapid.SampledFrom([]models.Time{
		now + 1, now.Add(time.Second), now.Add(30 * time.Second), now.Add(time.Minute), now.Add(time.Hour), now.Add(48 * time.Hour),
		p.windowEnd - 1, p.windowEnd, session.end - 1, session.end, next - 1, next,
	}).Draw(l.drawn, "now")
	l.clock.Set(max(now, to).Go())
}

// ends moves the clock to where the newest outreach ends.
func (l *ledgers) ends() {
	_, p := l.customer()
	_, session := p.newestOutreach()
	l.clock.Set(max(l.now(), session.end).Go())
}

// policy changes the account's numbers: the preset, overrides, the carrier.
func (l *ledgers) policy() {
	preset := rapid.SampledFrom([]models.PolicyPreset{models.PresetClassic, models.PresetPlatformToday}).Draw(l.drawn, "preset")
	carrier := rapid.SampledFrom([]models.OutreachCarrier{models.CarrierDirect, models.CarrierDirect, models.CarrierDirect, models.CarrierNone}).Draw(l.drawn, "carrier")
	overrides := models.PolicyOverrides{}
	n := presetNumbers(preset)
	n.direct = carrier == models.CarrierDirect
	if rapid.Bool().Draw(l.drawn, "overridden") {
		a := rapid.SampledFrom(models.ContactActions()).Draw(l.drawn, "action")
		messages, seconds := rapid.IntRange(0, 3).Draw(l.drawn, "messages"), rapid.SampledFrom([]int{0, 30, 7200}).Draw(l.drawn, "seconds")
		perMonth, session, carries := rapid.IntRange(0, 2).Draw(l.drawn, "a month"), rapid.SampledFrom([]int{1, 3600}).Draw(l.drawn, "session"), rapid.IntRange(1, 2).Draw(l.drawn, "carries")
		overrides = models.PolicyOverrides{
			Actions:          []models.AllowanceOverride{{Action: a, Messages: &messages, Seconds: &seconds}},
			OutreachPerMonth: &perMonth, OutreachSessionSeconds: &session, OutreachMessages: &carries,
		}
		n.messages[a], n.span[a] = messages, time.Duration(seconds)*time.Second
		n.perMonth, n.session, n.carries = perMonth, time.Duration(session)*time.Second, carries
	}
	_, err := l.s.UpdateSettings(l.as(auth.RoleAdmin), services.Settings{PolicyPreset: &preset, OutreachCarrier: &carrier, PolicyOverrides: &overrides})
	l.must(err)
	l.numbers = n
}

func presetNumbers(preset models.PolicyPreset) numbers {
	n := numbers{
		messages: map[models.ContactAction]int{"MESSAGE": 20, "MENU": 20, "FOLLOW": 20, "SCAN": 20, "PAYMENT": 20},
		span:     map[models.ContactAction]time.Duration{},
		perMonth: 4, session: time.Minute, carries: 3, direct: true,
	}
	for a := range n.messages {
		n.span[a] = 48 * time.Hour
	}
	if preset == models.PresetPlatformToday {
		n.messages["MESSAGE"] = 5
		for _, a := range []models.ContactAction{"MENU", "FOLLOW", "SCAN"} {
			n.messages[a], n.span[a] = 3, time.Minute
		}
	}
	return n
}

// check asks what the advisor may do, after every step.
func (l *ledgers) check() {
	for openid, p := range l.people {
		got, err := l.s.MayWrite(l.as(auth.RoleAdvisor), services.CustomerRef{OpenID: models.Ident(openid)})
		l.must(err)
		if want := p.mayWrite(l.now(), l.numbers); got != want {
			l.drawn.Fatalf("%s at %v:\n got %+v\nwant %+v", openid, l.now().Go(), got, want)
		}
	}
}

// Ensure that whatever happens to a ledger through the services, in whatever order, the answer to
// "May I write?" and the outcome of every send, confirmation and resend are those of a model that
// counts through the whole history (rules G2 to G4, G6, A3).
func TestTheLedgerThroughTheServices(t *testing.T) {
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		// Each check is some hundred transactions: fewer, unless a number was asked for.
		if err := checks.Value.Set("20"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) })
	}
	clock := testkit.NewClock()
	db := testkit.Store(t, testkit.SQLite(t), clock)
	s := services.New(services.Deps{Store: db, Hub: events.New(db.Log(), events.Options{Now: clock.Now})})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	rapid.Check(t, func(rt *rapid.T) {
		clock.Set(testkit.Start)
		l := &ledgers{s: s, clock: clock, drawn: rt, people: map[string]*person{}, keys: map[string]models.Key{}}
		name := rapid.SampledFrom([]string{"Asia/Shanghai", "America/New_York"}).Draw(rt, "zone")
		zone, err := time.LoadLocation(name)
		l.must(err)
		l.account = testkit.Account(t, db, func(a *models.Account) {
			// Months pass, and messages of any age are resent.
			a.TimeZone, a.AutoAssign, a.ReadableDays, a.MessageDays = name, true, 3_650, 3_650
		})
		l.advisor = testkit.Advisors(t, db, l.account, 1)[0]
		l.numbers = presetNumbers(models.PresetClassic)
		for _, openid := range []string{"wei", "li"} {
			p := &person{zone: zone}
			l.people[openid] = p
			l.ingest(models.InboundFollow, openid, "", l.now())
			p.followed(l.now(), l.numbers)
			c, err := s.Customer(l.as(auth.RoleAdvisor), services.CustomerRef{OpenID: models.Ident(openid)})
			l.must(err)
			l.keys[openid] = c.Key
		}
		l.openids = rapid.SampledFrom([]string{"li", "wei"})
		if l.quiet = rapid.Bool().Draw(rt, "quiet"); l.quiet {
			l.openids = rapid.Just("wei")
			clock.Advance(49 * time.Hour)
		}
		rt.Repeat(l.steps())
	})
}
