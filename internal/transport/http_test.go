package transport_test

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"clientele/internal/transport"
)

const (
	typeJSON     = "application/json"
	typeResponse = "application/graphql-response+json"
)

type call struct {
	method, query, contentType, body string
	header                           http.Header
}

func (s *server) do(tb testing.TB, c call) (*http.Response, string) {
	tb.Helper()
	target := s.url
	if c.query != "" {
		target += "?" + c.query
	}
	req, err := http.NewRequestWithContext(tb.Context(), c.method, target, strings.NewReader(c.body))
	if err != nil {
		tb.Fatal(err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return resp, string(body)
}

func accept(values ...string) http.Header { return http.Header{"Accept": values} }

func TestHTTP(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	get := func(pairs ...string) string {
		values := url.Values{}
		for i := 0; i < len(pairs); i += 2 {
			values.Add(pairs[i], pairs[i+1])
		}
		return values.Encode()
	}
	const syntax = `{"errors":[{"message":"Expected Name, found \u003cEOF\u003e","locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}`
	const null = `{"data":{"viewer":null}}`
	for name, test := range map[string]struct {
		call
		status int
		media  string // empty: application/json
		body   string // empty: not compared
		allow  string
	}{
		"post":                      {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}"}`}, status: 200, body: null},
		"post with charset":         {call: call{method: "POST", contentType: typeJSON + `; charset="UTF-8"`, body: `{"query":"{viewer}"}`}, status: 200, body: null},
		"post utf-16":               {call: call{method: "POST", contentType: typeJSON + "; charset=utf-16", body: `{"query":"{viewer}"}`}, status: 415},
		"post text":                 {call: call{method: "POST", contentType: "text/plain", body: `{"query":"{viewer}"}`}, status: 415},
		"post graphql":              {call: call{method: "POST", contentType: "application/graphql", body: `{viewer}`}, status: 415},
		"post form":                 {call: call{method: "POST", contentType: "application/x-www-form-urlencoded", body: `query={viewer}`}, status: 415},
		"post without type":         {call: call{method: "POST", body: `{"query":"{viewer}"}`}, status: 415},
		"post compressed":           {call: call{method: "POST", contentType: typeJSON, body: "x", header: http.Header{"Content-Encoding": {"gzip"}}}, status: 415},
		"post nothing":              {call: call{method: "POST", contentType: typeJSON}, status: 400},
		"post not JSON":             {call: call{method: "POST", contentType: typeJSON, body: `{"secret`}, status: 400, body: `{"errors":[{"message":"the body must be one JSON object","extensions":{"code":"INVALID"}}]}`},
		"post twice":                {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}"}{}`}, status: 400},
		"post not utf-8":            {call: call{method: "POST", contentType: typeJSON, body: "{\"query\":\"{viewer}\",\"x\":\"\xff\"}"}, status: 400},
		"post batch":                {call: call{method: "POST", contentType: typeJSON, body: `[{"query":"{viewer}"}]`}, status: 400},
		"post null":                 {call: call{method: "POST", contentType: typeJSON, body: `null`}, status: 400},
		"no query":                  {call: call{method: "POST", contentType: typeJSON, body: `{}`}, status: 400},
		"query in capitals":         {call: call{method: "POST", contentType: typeJSON, body: `{"Query":"{viewer}"}`}, status: 400},
		"empty query":               {call: call{method: "POST", contentType: typeJSON, body: `{"query":""}`}, status: 400},
		"null query":                {call: call{method: "POST", contentType: typeJSON, body: `{"query":null}`}, status: 400},
		"number query":              {call: call{method: "POST", contentType: typeJSON, body: `{"query":0}`}, status: 400},
		"list operationName":        {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}","operationName":[]}`}, status: 400},
		"text variables":            {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}","variables":"{}"}`}, status: 400},
		"list extensions":           {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}","extensions":[]}`}, status: 400},
		"nulls":                     {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}","operationName":null,"variables":null,"extensions":null}`}, status: 200, body: null},
		"a long integer":            {call: call{method: "POST", contentType: typeJSON, body: `{"query":"query($v:Int){echo(value:$v)}","variables":{"v":2147483647}}`}, status: 200, body: `{"data":{"echo":2147483647}}`},
		"mutation":                  {call: call{method: "POST", contentType: typeJSON, body: `{"query":"mutation{bump}"}`}, status: 200, body: `{"data":{"bump":1}}`},
		"subscription":              {call: call{method: "POST", contentType: typeJSON, body: `{"query":"subscription{count(to:3)}"}`}, status: 200},
		"subscription, new type":    {call: call{method: "POST", contentType: typeJSON, body: `{"query":"subscription{ticks}"}`, header: accept(typeResponse)}, status: 400, media: typeResponse},
		"syntax":                    {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{"}`}, status: 200, body: syntax},
		"syntax, new type":          {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{"}`, header: accept(typeResponse)}, status: 400, media: typeResponse, body: syntax},
		"validation, new type":      {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{nothing}"}`, header: accept(typeResponse)}, status: 400, media: typeResponse},
		"coercion":                  {call: call{method: "POST", contentType: typeJSON, body: `{"query":"query($v:Int!){echo(value:$v)}"}`}, status: 200},
		"field error, new type":     {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{fail}"}`, header: accept(typeResponse)}, status: 200, media: typeResponse, body: `{"errors":[{"message":"failed","path":["fail"],"extensions":{"code":"STATE"}}],"data":{"fail":null}}`},
		"panic":                     {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{boom}"}`}, status: 200, body: `{"errors":[{"message":"recovered","path":["boom"]}],"data":{"boom":null}}`},
		"deferred by spread":        {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{...F @defer @include(if:true)} fragment F on Query{viewer}"}`}, status: 200, body: null},
		"deferred":                  {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{...@defer{viewer}}"}`}, status: 200, body: null},
		"get":                       {call: call{method: "GET", query: get("query", "query Q($v:Int){echo(value:$v)}", "variables", `{"v":1}`, "operationName", "Q", "extensions", `{}`)}, status: 200, body: `{"data":{"echo":1}}`},
		"get nulls":                 {call: call{method: "GET", query: get("query", "{viewer}", "variables", "null", "extensions", "", "operationName", "")}, status: 200, body: null},
		"get nothing":               {call: call{method: "GET"}, status: 400},
		"get malformed":             {call: call{method: "GET", query: "query=%zz"}, status: 400},
		"get twice":                 {call: call{method: "GET", query: get("query", "{viewer}", "query", "{viewer}")}, status: 400},
		"get list variables":        {call: call{method: "GET", query: get("query", "{viewer}", "variables", "[]")}, status: 400},
		"get bad variables":         {call: call{method: "GET", query: get("query", "{viewer}", "variables", "{")}, status: 400},
		"get not utf-8":             {call: call{method: "GET", query: "query=%ff"}, status: 400},
		"get mutation":              {call: call{method: "GET", query: get("query", "mutation{bump}")}, status: 405, allow: "POST"},
		"get subscription":          {call: call{method: "GET", query: get("query", "subscription{count(to:3)}"), header: accept(typeResponse)}, status: 400, media: typeResponse},
		"put":                       {call: call{method: "PUT", contentType: typeJSON, body: `{"query":"{viewer}"}`}, status: 405, allow: "GET, POST"},
		"head":                      {call: call{method: "HEAD", query: get("query", "{viewer}")}, status: 405, allow: "GET, POST"},
		"options":                   {call: call{method: "OPTIONS"}, status: 204, allow: "OPTIONS, GET, POST", media: "none"},
		"not acceptable":            {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("text/html")}, status: 406},
		"not acceptable charset":    {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("application/json; charset=utf-16")}, status: 406},
		"refused q":                 {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("application/json;q=0, application/graphql-response+json;q=0.0")}, status: 406},
		"anything":                  {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("*/*")}, status: 200},
		"any application":           {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("text/html, application/*;q=0.1")}, status: 200},
		"anything but json":         {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("*/*, application/json;q=0")}, status: 200, media: typeResponse},
		"better new type":           {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("application/json;q=0.9", "application/graphql-response+json")}, status: 200, media: typeResponse},
		"better json":               {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("application/graphql-response+json;q=0.5, application/json;q=0.8")}, status: 200},
		"new type first":            {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("application/graphql-response+json, application/json")}, status: 200, media: typeResponse},
		"json first":                {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("application/json, application/graphql-response+json")}, status: 200},
		"named and anything":        {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("application/graphql-response+json, */*")}, status: 200, media: typeResponse},
		"malformed range is passed": {call: call{method: "GET", query: get("query", "{viewer}"), header: accept("///, application/json;q=7, application/graphql-response+json")}, status: 200, media: typeResponse},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := s.do(t, test.call)
			if resp.StatusCode != test.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, test.status, body)
			}
			media := test.media
			if media == "" {
				media = typeJSON
			}
			if got := resp.Header.Get("Content-Type"); media != "none" && got != media+"; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if got := resp.Header.Get("Allow"); got != test.allow {
				t.Errorf("Allow %q, want %q", got, test.allow)
			}
			if test.status != 200 && test.status != 204 && test.method != "HEAD" && (!strings.Contains(body, `"errors"`) || strings.Contains(body, `"data"`)) {
				t.Errorf("body %s", body)
			}
			if strings.Contains(body, "secret") {
				t.Errorf("the request is echoed: %s", body)
			}
			if test.body != "" {
				wantJSON(t, body, test.body)
			}
		})
	}
	if bumps := s.bumps.Load(); bumps != 1 {
		t.Errorf("mutations ran %d times", bumps)
	}
	if opened, _ := s.stream.counts(); opened != 0 {
		t.Errorf("a subscription was executed over HTTP")
	}
}

// TestDraftStatuses has the statuses of the draft of 2026, which the transport gives on request, to both media types.
func TestDraftStatuses(t *testing.T) {
	s := serveHTTP(t, transport.WebSocketOptions{}, transport.HTTP{Draft: true, MaxBody: 1000})
	for name, test := range map[string]struct {
		call
		status int
		legacy int // to application/json, where it is another; 0: the same
	}{
		"an answer":                     {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}"}`}, status: 200},
		"data and errors":               {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{fail viewer}"}`}, status: 294, legacy: 200},
		"nothing but errors":            {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{fail}"}`}, status: 294, legacy: 200},
		"a body that is not JSON":       {call: call{method: "POST", contentType: typeJSON, body: `NONSENSE`}, status: 400},
		"an empty body":                 {call: call{method: "POST", contentType: typeJSON}, status: 400},
		"a document that is no GraphQL": {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{"}`}, status: 400},
		"the same in an address":        {call: call{method: "GET", query: "query=%7B"}, status: 400},
		"a list":                        {call: call{method: "POST", contentType: typeJSON, body: `[]`}, status: 422},
		"no query":                      {call: call{method: "POST", contentType: typeJSON, body: `{"qeury":"{viewer}"}`}, status: 422},
		"no query in an address":        {call: call{method: "GET", query: "x=1"}, status: 422},
		"variables that are text":       {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}","variables":"{}"}`}, status: 422},
		"a field that is not there":     {call: call{method: "POST", contentType: typeJSON, body: `{"query":"{nothing}"}`}, status: 422},
		"a variable that is missing":    {call: call{method: "POST", contentType: typeJSON, body: `{"query":"query($v:Int!){echo(value:$v)}"}`}, status: 422},
		"no such operation":             {call: call{method: "POST", contentType: typeJSON, body: `{"query":"query A{viewer} query B{viewer}","operationName":"C"}`}, status: 422},
		"a subscription":                {call: call{method: "POST", contentType: typeJSON, body: `{"query":"subscription{count(to:3)}"}`}, status: 422},
		"a mutation by GET":             {call: call{method: "GET", query: "query=mutation%7Bbump%7D"}, status: 405},
		"text":                          {call: call{method: "POST", contentType: "text/plain", body: `{"query":"{viewer}"}`}, status: 415},
		"too much":                      {call: call{method: "POST", contentType: typeJSON, body: strings.Repeat(" ", 1001)}, status: 413},
	} {
		for _, media := range []string{typeJSON, typeResponse} {
			want := test.status
			if media == typeJSON && test.legacy != 0 {
				want = test.legacy
			}
			asked := test.call
			asked.header = accept(media)
			resp, body := s.do(t, asked)
			if resp.StatusCode != want || !strings.HasPrefix(resp.Header.Get("Content-Type"), media) {
				t.Errorf("%s, as %s: %d %s, want %d: %s", name, media, resp.StatusCode, resp.Header.Get("Content-Type"), want, body)
			}
			if failed := want >= 400; failed == strings.Contains(body, `"data"`) {
				t.Errorf("%s, as %s: %d with %s", name, media, want, body)
			}
		}
	}
}

// Ensure the other transports answer requests with one response, and those that begin no stream, with the statuses of the draft as well.
func TestDraftStatusesElsewhere(t *testing.T) {
	events := transport.NewEvents(transport.EventsOptions{Draft: true})
	s := serveFirst(t, transport.WebSocketOptions{}, transport.HTTP{Draft: true}, events, transport.Multipart{Draft: true})
	form := func(operations string) call {
		return call{method: "POST", contentType: formType, body: field("operations", operations) + field("map", `{}`) + formEnd, header: simple(accept(typeResponse))}
	}
	for name, tt := range map[string]struct {
		call
		status int
	}{
		"a form, answered":                {form(`{"query":"{viewer}"}`), 200},
		"a form, data and errors":         {form(`{"query":"{fail viewer}"}`), 294},
		"a form, no such field":           {form(`{"query":"{nothing}"}`), 422},
		"a form, no GraphQL":              {form(`{"query":"{"}`), 400},
		"a form, a subscription":          {form(`{"query":"subscription{ticks}"}`), 422},
		"a form, a batch":                 {form(`[{"query":"{nothing}"}]`), 200},
		"a form, malformed":               {form(`{}`), 400},
		"a stream without a query":        {call{method: "POST", contentType: typeJSON, body: `{}`, header: accept("text/event-stream")}, 422},
		"a stream of what is not JSON":    {call{method: "POST", contentType: typeJSON, body: `{`, header: accept("text/event-stream")}, 400},
		"a stream without one in address": {call{method: "GET", header: accept("text/event-stream")}, 422},
	} {
		if resp, body := s.do(t, tt.call); resp.StatusCode != tt.status || resp.StatusCode >= 400 == strings.Contains(body, `"data"`) && tt.status != 200 {
			t.Errorf("%s: %d, want %d: %s", name, resp.StatusCode, tt.status, body)
		}
	}
}

func TestHTTPLimits(t *testing.T) {
	s := serveHTTP(t, transport.WebSocketOptions{}, transport.HTTP{Timeout: 30 * time.Millisecond, MaxBody: 100})
	for name, body := range map[string]io.Reader{
		"known length":   strings.NewReader(`{"query":"{viewer}"` + strings.Repeat(" ", 100) + `}`),
		"unknown length": io.MultiReader(strings.NewReader(`{"query":"{viewer}"` + strings.Repeat(" ", 100) + `}`)),
	} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url, body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", typeJSON)
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			text, err := io.ReadAll(resp.Body)
			if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge {
				t.Fatalf("status %d, %v", resp.StatusCode, err)
			}
			wantJSON(t, string(text), `{"errors":[{"message":"the body is over 100 bytes","extensions":{"code":"LIMIT_EXCEEDED","limit":100}}]}`)
		})
	}
	t.Run("time", func(t *testing.T) {
		resp, body := s.do(t, call{method: "POST", contentType: typeJSON, body: `{"query":"{slow}"}`})
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		wantJSON(t, body, `{"errors":[{"message":"context deadline exceeded","path":["slow"]}],"data":{"slow":null}}`)
	})
	t.Run("time before the execution", func(t *testing.T) {
		s := serveHTTP(t, transport.WebSocketOptions{}, transport.HTTP{Timeout: time.Millisecond})
		s.gql.AroundOperations(func(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
			<-ctx.Done()
			return next(ctx)
		})
		resp, body := s.do(t, call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}"}`})
		if resp.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("status %d: %s", resp.StatusCode, body)
		}
		wantJSON(t, body, `{"errors":[{"message":"the operation took too long","extensions":{"code":"UNAVAILABLE"}}]}`)
	})
	t.Run("none", func(t *testing.T) {
		s := serveHTTP(t, transport.WebSocketOptions{}, transport.HTTP{Timeout: -1, MaxBody: -1})
		resp, _ := s.do(t, call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}"` + strings.Repeat(" ", 2<<20) + `}`})
		if resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
	})
}

// TestHTTPPresenter checks that what the transport has to say goes the way of every error.
func TestHTTPPresenter(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	s.gql.SetErrorPresenter(func(ctx context.Context, err error) *gqlerror.Error {
		presented := graphql.DefaultErrorPresenter(ctx, err)
		presented.Message = "presented: " + presented.Message
		return presented
	})
	s.gql.AroundResponses(func(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
		graphql.RegisterExtension(ctx, "requestId", "r1")
		return next(ctx)
	})
	_, body := s.do(t, call{method: "POST", contentType: typeJSON, body: `{}`})
	wantJSON(t, body, `{"errors":[{"message":"presented: `+"`query`"+` must be a string that is not empty","extensions":{"code":"INVALID"}}],"extensions":{"requestId":"r1"}}`)
	_, body = s.do(t, call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}"}`})
	wantJSON(t, body, `{"data":{"viewer":null},"extensions":{"requestId":"r1"}}`)

	s.stream.push(1)
	c := s.connect(t)
	c.subscribe("a", "subscription{ticks}")
	c.want(`{"id":"a","type":"next","payload":{"data":{"ticks":"1"},"extensions":{"cursor":"1","requestId":"r1"}}}`)
	c.subscribe("b", "{")
	if got := c.read(); !strings.Contains(got, "presented: Expected Name") {
		t.Fatalf("got %s", got)
	}
}

func TestHTTPPanics(t *testing.T) {
	s := serve(t, transport.WebSocketOptions{})
	s.gql.AroundOperations(func(context.Context, graphql.OperationHandler) graphql.ResponseHandler { panic("interceptor") })
	resp, body := s.do(t, call{method: "POST", contentType: typeJSON, body: `{"query":"{viewer}"}`, header: accept(typeResponse)})
	if resp.StatusCode != http.StatusInternalServerError {
		t.Fatalf("status %d", resp.StatusCode)
	}
	wantJSON(t, body, `{"errors":[{"message":"recovered"}]}`)

	s.gql.Use(mutator(func() *gqlerror.Error { panic("mutator") }))
	resp, body = s.do(t, call{method: "GET", query: "query={viewer}"})
	if resp.StatusCode != http.StatusInternalServerError {
		t.Fatalf("status %d", resp.StatusCode)
	}
	wantJSON(t, body, `{"errors":[{"message":"recovered"}]}`)
}
