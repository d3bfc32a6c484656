package transport_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql/handler"

	"clientele/internal/transport"
)

// unread is a body that nobody may read.
type unread struct{ tb testing.TB }

func (u unread) Read([]byte) (int, error) {
	u.tb.Error("the body is read")
	return 0, io.EOF
}

// door counts who comes in and who leaves.
type door struct {
	asked, in, left int
	refuse          error
}

func (d *door) admit(context.Context) (func(), int, error) {
	d.asked++
	if d.refuse != nil {
		return nil, http.StatusTooManyRequests, d.refuse
	}
	d.in++
	return func() { d.left++ }, 0, nil
}

// answered calls back when an answer begins.
type answered struct {
	*httptest.ResponseRecorder
	begins func()
}

func (a answered) WriteHeader(status int) {
	a.begins()
	a.ResponseRecorder.WriteHeader(status)
}

// Ensure what the headers tell is refused before anybody is let in, whom Admit refuses is answered so, both without a byte of the body; and that who was let in
// has left, once, before an answer is written.
func TestMultipartAdmits(t *testing.T) {
	whole := field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "a", "1") + formEnd
	const limit = 1000
	for name, tt := range map[string]struct {
		header http.Header
		length int64
		body   string
		refuse error
		status int
		asked  bool
	}{
		"no preflight":       {header: http.Header{"Graphql-Require-Preflight": nil}, status: 400},
		"no boundary":        {header: http.Header{"Content-Type": {"multipart/form-data"}}, status: 400},
		"a byte too long":    {length: limit + 1, status: 413},
		"no known answer":    {header: accept("text/html"), status: 406},
		"refused":            {refuse: errors.New("not you"), status: 429, asked: true},
		"refused, as long":   {refuse: errors.New("not you"), length: limit, status: 429, asked: true},
		"good":               {body: whole, status: 200, asked: true},
		"as long as may be":  {body: whole + strings.Repeat("x", limit-len(whole)), length: limit, status: 200, asked: true},
		"of unknown length":  {body: whole + strings.Repeat("x", limit+1-len(whole)), length: -1, status: 413, asked: true},
		"broken":             {body: whole[:len(whole)/2], status: 400, asked: true},
		"nothing":            {body: "", length: -1, status: 400, asked: true},
		"refused when run":   {body: field("operations", `{"query":"{nothing}"}`) + field("map", `{}`) + formEnd, status: 200, asked: true},
		"a panic of ours":    {body: field("operations", `{"query":"{boom}"}`) + field("map", `{}`) + formEnd, status: 200, asked: true},
		"two of one request": {body: field("operations", "["+one+","+one+"]") + field("map", `{"0":["0.variables.f","1.variables.f"]}`) + part("0", "a", "1") + formEnd, status: 200, asked: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := &door{refuse: tt.refuse}
			gql := handler.New(newFixture(t))
			gql.SetRecoverFunc(func(context.Context, any) error { return errors.New("recovered") })
			gql.AddTransport(transport.Multipart{MaxBody: limit, Admit: d.admit})
			var body io.Reader = strings.NewReader(tt.body)
			if !tt.asked || tt.refuse != nil {
				body = unread{t}
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", body)
			if r.ContentLength = tt.length; tt.length == 0 {
				r.ContentLength = int64(len(tt.body))
			}
			r.Header = simple(http.Header{"Content-Type": {formType}})
			for k, v := range tt.header {
				r.Header[k] = v
			}
			w := answered{httptest.NewRecorder(), func() {
				if d.left != d.in {
					t.Error("who is answered has not left yet")
				}
			}}
			gql.ServeHTTP(w, r)
			if w.Code != tt.status || (d.asked == 1) != tt.asked || d.left != d.in {
				t.Errorf("%d %s; asked %d times, %d came in, %d left", w.Code, w.Body, d.asked, d.in, d.left)
			}
			if tt.refuse != nil && !strings.Contains(w.Body.String(), tt.refuse.Error()) {
				t.Errorf("the refusal is not told: %s", w.Body)
			}
		})
	}
}

// pipes is a listener whose connections are in memory.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

func (p pipes) Close() error {
	close(p)
	return nil
}

func (pipes) Addr() net.Addr { return &net.UnixAddr{} }

// slowServer serves multipart requests in memory, in a bubble; dial sends the head of a request for a body of so many bytes.
func slowServer(t *testing.T, m transport.Multipart) (f *fixture, dial func(length int) (net.Conn, *bufio.Reader)) {
	f = newFixture(t)
	gql := handler.New(f)
	gql.AddTransport(m)
	l := make(pipes)
	hs := &http.Server{Handler: gql, ReadTimeout: 30 * time.Second, ReadHeaderTimeout: time.Second, IdleTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- hs.Serve(l) }()
	t.Cleanup(func() {
		if err := hs.Close(); err != nil {
			t.Error(err)
		}
		<-done
	})
	return f, func(length int) (net.Conn, *bufio.Reader) {
		ours, theirs := net.Pipe()
		l <- theirs
		t.Cleanup(func() { _ = ours.Close() })
		head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nGraphQL-Require-Preflight: 1\r\nContent-Length: %d\r\n\r\n", formType, length)
		if _, err := io.WriteString(ours, head); err != nil {
			t.Error(err)
		}
		return ours, bufio.NewReader(ours)
	}
}

// Ensure a body is read for as long as it comes at the rate that is asked for, is cut by 408 when it is later than that, whatever comes then, and gives its place
// back; and that none has more than its time in all.
func TestMultipartPace(t *testing.T) {
	const (
		rate   = 100 // bytes a second
		grace  = 2 * time.Second
		most   = 20 * time.Second
		moment = time.Millisecond
	)
	body := field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "a", strings.Repeat("x", 6000)) + formEnd
	at := func(n int) time.Duration { return grace + time.Duration(n)*time.Second/rate }
	type step struct {
		n  int           // bytes that are sent
		at time.Duration // when, from the first on
	}
	for name, tt := range map[string]struct {
		steps  []step
		status int
		after  time.Duration // when it is answered
	}{
		"at once":                 {[]step{{len(body), 0}}, 200, 0},
		"in the last moment":      {[]step{{400, grace - moment}, {300, at(400) - moment}, {len(body) - 700, at(700) - moment}}, 200, at(700) - moment},
		"nothing":                 {nil, 408, grace},
		"too late at first":       {[]step{{len(body), grace + moment}}, 408, grace},
		"too late":                {[]step{{400, grace - moment}, {1, at(400) + moment}}, 408, at(400)},
		"too late again":          {[]step{{400, 0}, {300, at(400) - moment}, {1, at(700) + moment}}, 408, at(700)},
		"what was early is saved": {[]step{{1500, 0}, {len(body) - 1500, at(1500) - moment}}, 200, at(1500) - moment},
		"at the end of its time":  {[]step{{4000, 0}, {len(body) - 4000, most - moment}}, 200, most - moment},
		"beyond its time":         {[]step{{4000, 0}, {1, most + moment}}, 408, most},
		"a byte now and then":     {[]step{{1, 0}, {1, time.Second}, {1, grace}, {1, grace + time.Second}}, 408, at(3)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &door{}
				_, dial := slowServer(t, transport.Multipart{Admit: d.admit, MinRate: rate, Grace: grace, MaxTime: most})
				conn, from := dial(len(body))
				synctest.Wait()
				began := time.Now()
				var sent sync.WaitGroup
				sent.Go(func() { // the server does not read all
					rest := body
					for _, s := range tt.steps {
						time.Sleep(s.at - time.Since(began))
						if _, err := io.WriteString(conn, rest[:s.n]); err != nil {
							return
						}
						rest = rest[s.n:]
					}
				})
				resp, err := http.ReadResponse(from, nil)
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(resp.Body)
				if err != nil || resp.StatusCode != tt.status || tt.status == 408 && (!resp.Close || !strings.Contains(string(text), transport.CodeUnavailable)) {
					t.Errorf("%d %v %s, %v after %s", resp.StatusCode, resp.Header, text, err, time.Since(began))
				}
				if took := time.Since(began); took != tt.after {
					t.Errorf("answered after %s, not %s", took, tt.after)
				}
				if d.in != 1 || d.left != 1 {
					t.Errorf("%d came in, %d left", d.in, d.left)
				}
				_ = conn.Close()
				sent.Wait()
			})
		})
	}
}

// Ensure the time that a body had does not end the operation that came with it.
func TestMultipartPaceEndsWithTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, dial := slowServer(t, transport.Multipart{MinRate: 1000, Grace: time.Second, MaxTime: 2 * time.Second, Timeout: time.Minute})
		body := field("operations", `{"query":"{gate}"}`) + field("map", `{}`) + formEnd
		conn, from := dial(len(body))
		go func() { _, _ = io.WriteString(conn, body) }()
		<-f.entered
		time.Sleep(45 * time.Second) // and longer than the server would have given the request
		f.gate <- struct{}{}
		resp, err := http.ReadResponse(from, nil)
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(text), "through") {
			t.Errorf("%d %s, %v", resp.StatusCode, text, err)
		}
	})
}
