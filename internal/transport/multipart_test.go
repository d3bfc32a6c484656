package transport_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"

	"clientele/internal/transport"
)

// uploads are names, types and texts of what was uploaded anywhere in a value.
func uploads(value any) (found []string) {
	switch v := value.(type) {
	case graphql.Upload:
		text, err := io.ReadAll(transport.OpenUpload(v))
		if err != nil || int64(len(text)) != v.Size {
			return []string{fmt.Sprint("wrong: ", err, v.Size)}
		}
		return []string{v.Filename + "=" + string(text) + ";" + v.ContentType}
	case []any:
		for _, item := range v {
			found = append(found, uploads(item)...)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			found = append(found, uploads(v[key])...)
		}
	}
	return found
}

const (
	formType = "multipart/form-data; boundary=b"
	one      = `{"query":"mutation($f:Upload){upload(file:$f)}","variables":{"f":null}}`
	many     = `{"query":"mutation($l:[Upload]){upload(files:$l)}","variables":{"l":[null,null]}}`
	twice    = `{"query":"mutation($f:Upload){a:upload(files:[$f,$f]) b:upload(file:$f)}","variables":{"f":null}}`
	bump     = `{"query":"mutation{bump}"}`
)

// field is a part without a file; part is one with a file.
func field(name, text string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, text)
}

func part(name, file, text string) string {
	return fmt.Sprintf("--b\r\nContent-Disposition: form-data; name=%q; filename=\"%s\"\r\nContent-Type: text/plain\r\n\r\n%s\r\n", name, file, text)
}

const formEnd = "--b--\r\n"

func simple(more http.Header) http.Header {
	h := http.Header{"Graphql-Require-Preflight": {"1"}}
	maps.Copy(h, more)
	return h
}

// Ensure files arrive where the map says, and what is not understood, not asked for or too much is refused by its status and runs nothing.
func TestMultipart(t *testing.T) {
	s := serveFirst(t, transport.WebSocketOptions{}, transport.HTTP{}, transport.Multipart{MaxBody: 2000, MaxFiles: 2, MaxOperations: 2})
	uploaded := func(s string) string { return `{"data":{"upload":"` + s + `"}}` }
	batch := "[" + one + "," + many + "]"
	for name, tt := range map[string]struct {
		body   string
		status int
		want   string // empty: an error
		header http.Header
	}{
		"a single file":              {field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "a.txt", "alpha") + formEnd, 200, uploaded("a.txt=alpha;text/plain"), nil},
		"a list of files":            {field("operations", many) + field("map", `{"0":["variables.l.0"],"x":["variables.l.1"]}`) + part("x", "b", "2") + part("0", "a", "1") + formEnd, 200, uploaded("a=1;text/plain b=2;text/plain"), nil},
		"one file at two paths":      {field("operations", many) + field("map", `{"0":["variables.l.0","variables.l.1"]}`) + part("0", "a", "1") + formEnd, 200, uploaded("a=1;text/plain a=1;text/plain"), nil},
		"one file in two fields":     {field("operations", twice) + field("map", `{"0":["variables.f"]}`) + part("0", "a", "1") + formEnd, 200, `{"data":{"a":"a=1;text/plain a=1;text/plain","b":"a=1;text/plain"}}`, nil},
		"a file in an input":         {field("operations", `{"query":"mutation($i:Files){upload(input:$i)}","variables":{"i":{"one":null,"list":[null]}}}`) + field("map", `{"0":["variables.i.list.0"],"1":["variables.i.one"]}`) + part("0", "a", "1") + part("1", "b", "2") + formEnd, 200, uploaded("a=1;text/plain b=2;text/plain"), nil},
		"a name in Chinese":          {field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "客户.csv", "甲") + formEnd, 200, uploaded("客户.csv=甲;text/plain"), nil},
		"a name that is no utf-8":    {field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "\xff", "x") + formEnd, 400, "", nil},
		"an empty file":              {field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "a", "") + formEnd, 200, uploaded("a=;text/plain"), nil},
		"an empty map":               {field("operations", `{"query":"{viewer}"}`) + field("map", `{}`) + formEnd, 200, `{"data":{"viewer":null}}`, nil},
		"parts nobody asked for":     {field("x", "y") + field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("9", "z", "z") + part("0", "a", "1") + part("0", "again", "2") + formEnd, 200, uploaded("a=1;text/plain"), nil},
		"a batch":                    {field("operations", batch) + field("map", `{"0":["0.variables.f","1.variables.l.1"]}`) + part("0", "a", "1") + formEnd, 200, "[" + uploaded("a=1;text/plain") + "," + uploaded("a=1;text/plain") + "]", nil},
		"a batch with an error":      {field("operations", `[{"query":"{viewer}"},{"query":"{"}]`) + field("map", `{}`) + formEnd, 200, `[{"data":{"viewer":null}},{"errors":[{"message":"Expected Name, found <EOF>","locations":[{"line":1,"column":2}],"extensions":{"code":"GRAPHQL_PARSE_FAILED"}}]}]`, nil},
		"a batch too long":           {field("operations", "["+bump+","+bump+","+bump+"]") + field("map", `{}`) + formEnd, 413, "", nil},
		"an empty batch":             {field("operations", "[]") + field("map", `{}`) + formEnd, 400, "", nil},
		"a batch of null":            {field("operations", "["+bump+",null]") + field("map", `{}`) + formEnd, 400, "", nil},
		"a batch path without index": {field("operations", "["+one+"]") + field("map", `{"0":["variables.f"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"a batch path beyond":        {field("operations", "["+one+"]") + field("map", `{"0":["1.variables.f"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"too many files":             {field("operations", bump) + field("map", `{"0":["variables.a"],"1":["variables.b"],"2":["variables.c"]}`) + formEnd, 413, "", nil},
		"too many bytes":             {field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "a", strings.Repeat("x", 2000)) + formEnd, 413, "", nil},
		"too many unknown bytes":     {field("operations", bump) + field("map", `{}`) + part("0", "a", strings.Repeat("x", 2000)) + formEnd, 413, "", nil},
		"too many bytes behind":      {field("operations", bump) + field("map", `{}`) + formEnd + strings.Repeat("x", 9000), 413, "", nil},
		"map before operations":      {field("map", `{}`) + field("operations", bump) + formEnd, 400, "", nil},
		"a file before the map":      {field("operations", one) + part("0", "a", "1") + field("map", `{"0":["variables.f"]}`) + formEnd, 400, "", nil},
		"no operations":              {field("map", `{}`) + formEnd, 400, "", nil},
		"no map":                     {field("operations", bump) + formEnd, 400, "", nil},
		"operations twice":           {field("operations", bump) + field("operations", bump) + field("map", `{}`) + formEnd, 400, "", nil},
		"a map twice":                {field("operations", bump) + field("map", `{}`) + field("map", `{}`) + formEnd, 400, "", nil},
		"operations no JSON":         {field("operations", `{"secret`) + field("map", `{}`) + formEnd, 400, "", nil},
		"operations not utf-8":       {field("operations", "{\"query\":\"mutation{bump}\",\"x\":\"\xff\"}") + field("map", `{}`) + formEnd, 400, "", nil},
		"operations without query":   {field("operations", `{}`) + field("map", `{}`) + formEnd, 400, "", nil},
		"operations a string":        {field("operations", `"x"`) + field("map", `{}`) + formEnd, 400, "", nil},
		"operations null":            {field("operations", `null`) + field("map", `{}`) + formEnd, 400, "", nil},
		"a map no JSON":              {field("operations", bump) + field("map", `{"secret`) + formEnd, 400, "", nil},
		"a map of null":              {field("operations", bump) + field("map", `null`) + formEnd, 400, "", nil},
		"a map of strings":           {field("operations", bump) + field("map", `{"0":"variables.f"}`) + formEnd, 400, "", nil},
		"a map of nothing":           {field("operations", bump) + field("map", `{"0":[]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"a file that is missing":     {field("operations", one) + field("map", `{"0":["variables.f"]}`) + formEnd, 400, "", nil},
		"a path to no null":          {field("operations", `{"query":"mutation{bump}","variables":{"f":1}}`) + field("map", `{"0":["variables.f"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"a path to nowhere":          {field("operations", bump) + field("map", `{"0":["variables.f"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"a path into the query":      {field("operations", bump) + field("map", `{"0":["query"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"a path beyond a list":       {field("operations", many) + field("map", `{"0":["variables.l.2"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"a path with a sign":         {field("operations", many) + field("map", `{"0":["variables.l.+1"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"a path through a file":      {field("operations", one) + field("map", `{"0":["variables.f","variables.f.x"]}`) + part("0", "a", "1") + formEnd, 400, "", nil},
		"one path for two files":     {field("operations", one) + field("map", `{"0":["variables.f"],"1":["variables.f"]}`) + part("0", "a", "1") + part("1", "b", "2") + formEnd, 400, "", nil},
		"an end too early":           {field("operations", one) + field("map", `{"0":["variables.f"]}`) + "--b\r\nContent-Disposition: form-data; name=\"0\"\r\n\r\nx", 400, "", nil},
		"nothing":                    {"", 400, "", nil},
		"no preflight":               {field("operations", bump) + field("map", `{}`) + formEnd, 400, "", http.Header{"Graphql-Require-Preflight": {""}}},
		"Apollo's preflight":         {field("operations", `{"query":"{viewer}"}`) + field("map", `{}`) + formEnd, 200, `{"data":{"viewer":null}}`, http.Header{"Graphql-Require-Preflight": nil, "Apollo-Require-Preflight": {"true"}}},
		"Apollo's operation name":    {field("operations", `{"query":"{viewer}"}`) + field("map", `{}`) + formEnd, 200, `{"data":{"viewer":null}}`, http.Header{"Graphql-Require-Preflight": nil, "X-Apollo-Operation-Name": {"Q"}}},
		"an answer nobody makes":     {field("operations", bump) + field("map", `{}`) + formEnd, 406, "", accept("text/html")},
		"the new type":               {field("operations", `{"query":"{viewer}"}`) + field("map", `{}`) + formEnd, 200, `{"data":{"viewer":null}}`, accept(typeResponse)},
		"a refusal in the new type":  {field("operations", `{"query":"{nothing}"}`) + field("map", `{}`) + formEnd, 400, "", accept(typeResponse)},
		"a fault in the new type":    {formEnd, 400, "", accept(typeResponse)},
		"a subscription":             {field("operations", `{"query":"subscription{ticks}"}`) + field("map", `{}`) + formEnd, 400, "", accept(typeResponse)},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := s.do(t, call{method: "POST", contentType: formType, body: tt.body, header: simple(tt.header)})
			if resp.StatusCode != tt.status {
				t.Fatalf("status %d, want %d: %s", resp.StatusCode, tt.status, body)
			}
			media := typeJSON
			if tt.header.Get("Accept") == typeResponse {
				media = typeResponse
			}
			if got := resp.Header.Get("Content-Type"); got != media+"; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
			if tt.want != "" {
				wantJSON(t, body, tt.want)
			} else if !strings.HasPrefix(body, `{"errors":[`) || strings.Contains(body, `"data"`) || strings.Contains(body, "secret") {
				t.Errorf("body %s", body)
			}
			if name == "no preflight" && !strings.Contains(body, transport.CodePreflight) || tt.status == 413 && !strings.Contains(body, transport.CodeLimitExceeded) {
				t.Errorf("the code is not told: %s", body)
			}
		})
	}
	if n := s.bumps.Load(); n != 0 {
		t.Errorf("%d mutations of refused requests ran", n)
	}
	for _, contentType := range []string{"multipart/form-data", "Multipart/Form-Data; boundary", "multipart/form-data; boundary="} {
		if resp, body := s.do(t, call{method: "POST", contentType: contentType, body: "x", header: simple(nil)}); resp.StatusCode != 400 || !strings.Contains(body, "boundary") {
			t.Errorf("%q: %d %s", contentType, resp.StatusCode, body)
		}
	}
	off := serveFirst(t, transport.WebSocketOptions{}, transport.HTTP{}, transport.Multipart{MaxFiles: -1, MaxOperations: -1})
	for body, want := range map[string]int{
		field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "a", "1") + formEnd: 413,
		field("operations", "["+bump+"]") + field("map", `{}`) + formEnd:                                 400,
	} {
		if resp, text := off.do(t, call{method: "POST", contentType: formType, body: body, header: simple(nil)}); resp.StatusCode != want {
			t.Errorf("what is switched off: %d %s", resp.StatusCode, text)
		}
	}
}

// Ensure no body makes more than an answer in JSON with one of the statuses, and no file lands where no null was.
func FuzzMultipart(f *testing.F) {
	for _, seed := range []string{
		field("operations", one) + field("map", `{"0":["variables.f"]}`) + part("0", "a.txt", "alpha") + formEnd,
		field("operations", "["+one+","+many+"]") + field("map", `{"0":["0.variables.f","1.variables.l.1"]}`) + part("0", "a", "1") + formEnd,
		field("operations", many) + field("map", `{"0":["variables.l.-1","variables.l.00","variables"]}`) + part("0", "a", "1") + formEnd,
		field("map", "null") + field("operations", "[[]]") + formEnd, "--b", "--b--", "",
	} {
		f.Add([]byte(seed))
	}
	fixture := newFixture(f)
	gql := handler.New(fixture)
	gql.AddTransport(transport.Multipart{MaxBody: 4000})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", formType)
		r.Header.Set("GraphQL-Require-Preflight", "1")
		w := httptest.NewRecorder()
		gql.ServeHTTP(w, r)
		if !slices.Contains([]int{200, 400, 413}, w.Code) || !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%d %q", w.Code, w.Body)
		}
		if len(body) > 4000 && w.Code == 200 {
			t.Fatal("a body over the limit is taken")
		}
	})
}
