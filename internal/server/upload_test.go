package server

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/auth"
	"clientele/events"
	"clientele/limits"
	"clientele/models"
)

// uploadWait is for how long one waits for a place here.
const uploadWait = 10 * time.Second

// visits are requests that want a place, and how they fare.
type visits struct {
	*testing.T
	u *uploads

	mu      sync.Mutex
	leave   map[string][]func() // of who is in, by account
	refused []error
}

func newVisits(t *testing.T) *visits {
	return &visits{T: t, u: newUploads(uploadWait, newMetrics(nil, &events.Hub{}, nil)), leave: map[string][]func(){}}
}

func advisorOf(account, subject string) *auth.Viewer {
	return &auth.Viewer{Role: auth.RoleAdvisor, Account: account, Subject: subject}
}

// come has so many requests come with a token, and returns when they are in, wait, or are refused.
func (v *visits) come(n int, account, subject string) {
	for range n {
		go func() {
			leave, err := v.u.enter(context.Background(), advisorOf(account, subject))
			v.mu.Lock()
			defer v.mu.Unlock()
			if err != nil {
				v.refused = append(v.refused, err)
				return
			}
			v.leave[account] = append(v.leave[account], leave)
		}()
		synctest.Wait() // in this order
	}
}

// left has the one of an account leave who came in first.
func (v *visits) left(account string) {
	v.mu.Lock()
	v.leave[account][0]()
	v.leave[account] = v.leave[account][1:]
	v.mu.Unlock()
	synctest.Wait()
}

// line is how many wait.
func (v *visits) line() int {
	v.u.mu.Lock()
	defer v.u.mu.Unlock()
	return len(v.u.line)
}

// in is how many are in.
func (v *visits) in() (n int) {
	for _, leave := range v.leave {
		n += len(leave)
	}
	return n
}

// are checks how many are in, wait, and were refused.
func (v *visits) are(in, waiting, refused int) {
	v.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	told, line := v.metrics(), v.line()
	if v.in() != in || line != waiting || len(v.refused) != refused || !slices.Equal(told, []float64{float64(in), float64(waiting), float64(refused)}) {
		v.Fatalf("%d are in, %d wait, %d were refused, want %d, %d, %d; the metrics say %v", v.in(), line, len(v.refused), in, waiting, refused, told)
	}
}

// metrics is how many the metrics say are in, wait, and were refused.
func (v *visits) metrics() (told []float64) {
	v.Helper()
	families, err := v.u.metrics.registry.Gather() // by name, and by label
	if err != nil {
		v.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "clientele_uploads":
				told = append(told, m.GetGauge().GetValue())
			case "clientele_uploads_refused_total":
				told = append(told, m.GetCounter().GetValue())
			}
		}
	}
	return told
}

// over has everybody leave; nothing is kept of anybody.
func (v *visits) over() {
	v.Helper()
	for v.in() > 0 {
		for account := range v.leave {
			if len(v.leave[account]) > 0 {
				v.left(account)
			}
		}
	}
	if len(v.u.known) > 0 || len(v.u.line) > 0 {
		v.Errorf("%d are known, %d wait", len(v.u.known), len(v.u.line))
	}
}

// Ensure a token, an account and a node have as many places as the limits say and not one more, that so many more wait and one more is refused, and that who waits
// gets the place of who leaves, or is refused after their time (ADR 0042).
func TestUploadPlaces(t *testing.T) {
	for name, tt := range map[string]struct {
		places int
		// of is the account and the subject of the n-th who comes.
		of func(n int) (account, subject string)
	}{
		"of a token":    {limits.UploadsPerToken, func(int) (string, string) { return "a", "anna" }},
		"of an account": {limits.UploadsPerAccount, func(n int) (string, string) { return "a", fmt.Sprint(n) }},
		"of the node":   {limits.UploadsAtOnce, func(n int) (string, string) { return fmt.Sprint(n), "anna" }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVisits(t)
				most := tt.places * (1 + limits.UploadsWaiting)
				for n := range most + 1 {
					account, subject := tt.of(n)
					v.come(1, account, subject)
					v.are(min(n+1, tt.places), min(max(n+1-tt.places, 0), most-tt.places), max(n+1-most, 0))
				}
				first, _ := tt.of(0)
				v.left(first)
				v.are(tt.places, most-tt.places-1, 1)
				account, subject := tt.of(most)
				v.come(1, account, subject)
				v.are(tt.places, most-tt.places, 1)
				time.Sleep(uploadWait - time.Nanosecond)
				synctest.Wait()
				v.are(tt.places, most-tt.places, 1)
				time.Sleep(time.Nanosecond)
				synctest.Wait()
				v.are(tt.places, 0, 1+most-tt.places)
				for _, err := range v.refused {
					if refused, ok := err.(*models.Error); !ok || refused.Code != models.CodeUnavailable || refused.RetryAt.IsZero() { //nolint:errorlint // the error itself.
						t.Errorf("refused by %v", err)
					}
				}
				v.over()
			})
		})
	}
}

// Ensure an account, or a token, whose places are taken and whose line is full keeps nobody else out, and that places go to whoever came first and may have one.
func TestUploadPlacesOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits(t)
		const perToken = limits.UploadsPerToken * (1 + limits.UploadsWaiting)
		v.come(perToken+1, "greedy", "anna")
		v.are(limits.UploadsPerToken, perToken-limits.UploadsPerToken, 1)
		v.come(1, "greedy", "ben") // the account has one place more, which is not anna's
		v.are(limits.UploadsPerAccount, perToken-limits.UploadsPerToken, 1)
		v.come(limits.UploadsPerAccount*(1+limits.UploadsWaiting)-perToken-1+1, "greedy", "cai")
		const waiting = limits.UploadsPerAccount * limits.UploadsWaiting
		v.are(limits.UploadsPerAccount, waiting, 2)
		v.come(1, "other", "anna")
		v.are(limits.UploadsPerAccount+1, waiting, 2)
		v.left("greedy") // the next is theirs, too
		v.are(limits.UploadsPerAccount+1, waiting-1, 2)
		// The node is full: who waits behind the greedy goes before them, who may have no more.
		for n := range limits.UploadsAtOnce - limits.UploadsPerAccount - 1 {
			v.come(1, fmt.Sprint("account ", n), "anna")
		}
		v.come(1, "late", "anna")
		v.come(1, "later", "anna")
		v.are(limits.UploadsAtOnce, waiting+1, 2)
		v.left("other")
		if len(v.leave["late"]) != 1 || len(v.leave["greedy"]) != limits.UploadsPerAccount {
			t.Errorf("%d of the late are in, %d of the greedy", len(v.leave["late"]), len(v.leave["greedy"]))
		}
		v.over()
	})
}

// Ensure who gives up waiting, whatever comes of it at the same time, leaves nothing behind.
func TestUploadGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVisits(t)
		v.come(limits.UploadsPerToken, "a", "anna")
		ctx, cancel := context.WithCancel(t.Context())
		given := make(chan error)
		header := http.Header{}
		go func() {
			_, err := v.u.enter(context.WithValue(ctx, requestKey{}, &request{header: header}), advisorOf("a", "anna"))
			v.mu.Lock()
			v.refused = append(v.refused, err)
			v.mu.Unlock()
			given <- err
		}()
		synctest.Wait()
		v.come(1, "a", "anna")
		v.are(limits.UploadsPerToken, 2, 0)
		cancel()
		if err := <-given; models.CodeOf(err) != models.CodeUnavailable || header.Get("Retry-After") != fmt.Sprint(int(limits.UploadRetry/time.Second)) {
			t.Errorf("given up with %v, %v", err, header)
		}
		v.left("a")
		v.are(limits.UploadsPerToken, 0, 1)
		v.over()
	})
	// Some are given a place in the moment in which they give up.
	u := newUploads(time.Minute, newMetrics(nil, &events.Hub{}, nil))
	var wg sync.WaitGroup
	var most, in atomic.Int64
	for range 40 {
		wg.Go(func() {
			for range 200 {
				ctx, cancel := context.WithCancel(context.Background())
				go cancel()
				leave, err := u.enter(ctx, advisorOf(fmt.Sprint(rand.IntN(4)), fmt.Sprint(rand.IntN(3))))
				if err == nil {
					if n := in.Add(1); n > most.Load() {
						most.Store(n)
					}
					in.Add(-1)
					leave()
				}
			}
		})
	}
	wg.Wait()
	if len(u.known) > 0 || len(u.line) > 0 || most.Load() > limits.UploadsAtOnce {
		t.Errorf("%d are known, %d wait; %d were in", len(u.known), len(u.line), most.Load())
	}
}

// Ensure a multipart request is charged once: for a file when it comes, for the rest when it is known, and that who comes again when they are told pays all of it
// (rule X2).
func TestUploadIsChargedOnce(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	viewer := advisorOf("a", "anna")
	present := func(_ context.Context, err error) *gqlerror.Error {
		return graphql.DefaultErrorPresenter(context.Background(), err)
	}
	const perSecond = 10
	const saved = perSecond * int(limits.RateBurst/time.Second)
	r := newRates(perSecond, 0, func(context.Context) (*auth.Viewer, error) { return viewer, nil }, present)
	r.now = func() time.Time { return now }
	const comes = 1 + limits.UploadCharge
	request := func(files int) (refusedAtOnce bool, err error) {
		req := &request{}
		ctx := context.WithValue(t.Context(), requestKey{}, req)
		if err := r.charge(ctx, viewer, comes, 0); err != nil {
			return true, err
		}
		req.paid = comes
		list := make([]any, files)
		for i := range list {
			list[i] = graphql.Upload{}
		}
		document := gqlparser.MustLoadQueryWithRules(parsedSchema(), `mutation($l: [Upload!]!) { uploadImages(input: {files: $l}) { __typename } }`, nil)
		op := &graphql.OperationContext{Operation: document.Operations[0], Variables: map[string]any{"l": list}}
		if refused := r.MutateOperationContext(ctx, op); refused != nil {
			return false, refused.Unwrap()
		}
		if req.paid != 0 {
			t.Error("what was paid is kept for another operation")
		}
		return false, nil
	}
	left := func() int { // to a charge
		limiter, _ := r.tokens.Get(t.Context(), tokenOf(viewer))
		return int(limiter.TokensAt(now))
	}
	want := saved
	for _, files := range []int{1, 3, 0} { // who brings none pays for one
		if _, err := request(files); err != nil {
			t.Fatal(err)
		}
		if want -= 1 + max(files, 1)*limits.UploadCharge; left() != want {
			t.Fatalf("after %d files %d are left, want %d", files, left(), want)
		}
	}
	// What is left is enough to come, and not for ten files.
	const files = 10
	for want > 2*comes {
		if _, err := request(1); err != nil {
			t.Fatal(err)
		}
		want -= comes
	}
	atOnce, err := request(files)
	if models.CodeOf(err) != models.CodeRateLimited || atOnce || left() != want-comes {
		t.Fatalf("%v; %d are left of %d", err, left(), want)
	}
	now = err.(*models.Error).RetryAt.Go() //nolint:errorlint // it has that code.
	if _, err := request(files); err != nil {
		t.Errorf("who came when they were told is refused: %v", err)
	}
	// With nothing left nobody comes in, and it costs nothing.
	for left() >= comes {
		if _, err := request(1); err != nil {
			t.Fatal(err)
		}
	}
	before := left()
	if atOnce, err := request(1); !atOnce || models.CodeOf(err) != models.CodeRateLimited || left() != before {
		t.Errorf("refused at once: %v, %v; %d left of %d", atOnce, err, left(), before)
	}
}

// Ensure those may send files who may ask for something that takes them, however deep.
func TestUploaders(t *testing.T) {
	all := func(roles map[auth.Role]bool) []auth.Role {
		maps.DeleteFunc(roles, func(_ auth.Role, may bool) bool { return !may })
		return slices.Sorted(maps.Keys(roles))
	}
	if got := all(uploaders(parsedSchema())); !slices.Equal(got, []auth.Role{auth.RoleAdmin, auth.RoleAdvisor, auth.RoleIntegration}) {
		t.Errorf("files are taken of %v", got)
	}
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: `
		directive @allow(roles: [Role!]!) on FIELD_DEFINITION
		enum Role { ADMIN ANALYST ADVISOR PLATFORM }
		scalar Upload
		input Ring { ring: Ring, text: String }
		input Deep { ring: Ring, more: [Deeper!] }
		input Deeper { back: Deep, file: [Upload!]! }
		type Query { read(file: Upload): String @allow(roles: [ANALYST]) }
		type Mutation { none(in: Ring, n: Int): String @allow(roles: [PLATFORM]) deep(in: Deep!): String @allow(roles: [ADVISOR, ADMIN]) }`})
	if got := all(uploaders(schema)); !slices.Equal(got, []auth.Role{auth.RoleAdmin, auth.RoleAdvisor, auth.RoleAnalyst}) {
		t.Errorf("files are taken of %v", got)
	}
}

// Ensure each place of a document that a file stands in is counted, and what only stands in the variables is not (rule X2).
func TestFilesAreCounted(t *testing.T) {
	schema := parsedSchema()
	file := graphql.Upload{}
	for name, tt := range map[string]struct {
		document string
		want     int
	}{
		"in a list":             {`mutation($l: [Upload!]!) { uploadImages(input: {files: $l}) { __typename } }`, 2},
		"in two fields":         {`mutation($l: [Upload!]!) { a: uploadImages(input: {files: $l}) { __typename } b: uploadImages(input: {files: $l}) { __typename } }`, 4},
		"in a fragment":         {`mutation($l: [Upload!]!) { ...f } fragment f on Mutation { uploadImages(input: {files: $l}) { __typename } }`, 2},
		"several times":         {`mutation($o: Upload!) { uploadImages(input: {files: [$o, $o, $o]}) { __typename } }`, 3},
		"in an input":           {`mutation($i: UploadImagesInput!) { uploadImages(input: $i) { __typename } }`, 1},
		"no file in a mutation": {`mutation { deleteImport(input: {importId: "x"}) { __typename } }`, 0},
		"no file in a query":    {`{ viewer { role } __schema { __typename } }`, 0},
	} {
		document, errs := gqlparser.LoadQueryWithRules(schema, tt.document, nil)
		if errs != nil {
			t.Fatalf("%s: %v", name, errs)
		}
		op := &graphql.OperationContext{Operation: document.Operations[0], Variables: map[string]any{
			"l": []any{file, &file}, "o": file, "i": map[string]any{"files": []any{file}},
		}}
		if got := uploadsOf(op); got != tt.want {
			t.Errorf("%s: %d files, want %d", name, got, tt.want)
		}
	}
}
