package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"clientele/internal/apiclient"
	"clientele/internal/testkit"
	"clientele/internal/uploader"
	"clientele/limits"
)

// trip is an http.RoundTripper made of a function.
type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errLine = errors.New("the line is dead")

// uploaded is an upload of a file by ADMIN, what it told, and how long it waited for.
func (t *tenant) uploaded(file string, client *http.Client) (*uploader.Upload, *[]string, *[]time.Duration) {
	var told []string
	var waits []time.Duration
	u := &uploader.Upload{
		API:  apiclient.Client{HTTP: client, URL: t.url + "/graphql", Token: t.bearer("admin", t.account)},
		Kind: "CUSTOMERS", File: strings.NewReader(file), Size: int64(len(file)),
		Tell: func(format string, args ...any) { told = append(told, fmt.Sprintf(format, args...)) },
		Wait: func(ctx context.Context, d time.Duration) error {
			waits = append(waits, d)
			t.worked()
			return ctx.Err()
		},
	}
	return u, &told, &waits
}

// manyFollowers is a file of three parts, of n records, one of which has a source that there is none of.
func manyFollowers() (file string, n int) {
	var b strings.Builder
	b.WriteString("openid,nickname,source\n")
	for b.Len() < 2*limits.ImportPartBytes+1000 {
		n++
		source := "API"
		if n == 700 {
			source = "NOWHERE"
		}
		fmt.Fprintf(&b, "u-%06d,%s,%s\n", n, strings.Repeat("客", 20), source)
	}
	return b.String(), n
}

// Ensure the command's upload brings a file whole through a line that fails, goes on where it broke off, and
// writes which records failed (rule E11).
func TestUpload(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w := start(t, dsn, options{})
		file, records := manyFollowers()
		customers := func(a *tenant) int64 {
			return w.count("SELECT COUNT(*) FROM customer WHERE account_id = ?", a.account[:])
		}
		check := func(t *testing.T, a *tenant, r *uploader.Result, err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			if r.State != "FINISHED" || r.Done != int64(records) || r.FailedCount() != 1 || r.Failures["INVALID"] != 1 {
				t.Errorf("%+v", *r)
			}
			if n := customers(a); n != int64(records-1) {
				t.Errorf("%d customers of %d records", n, records)
			}
		}
		t.Run("through answers that are lost and a server that is away", func(t *testing.T) {
			a := w.found(setup{}, "lossy")
			n := 0
			u, told, waits := a.uploaded(file, &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
				n++
				switch n {
				case 2, 3: // does not arrive
					return nil, errLine
				case 4, 8: // its answer is lost
					answer, err := http.DefaultTransport.RoundTrip(r)
					if err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						_ = answer.Body.Close()
					}
					return nil, errLine
				case 6:
					return &http.Response{StatusCode: http.StatusBadGateway, Body: io.NopCloser(strings.NewReader("<html>"))}, nil
				}
				return http.DefaultTransport.RoundTrip(r)
			})})
			var failed bytes.Buffer
			u.Failed = &failed
			r, err := u.Run(t.Context())
			check(t, a, r, err)
			if want := "record,field,code,message\n700,source,INVALID,"; !strings.HasPrefix(failed.String(), want) || strings.Count(failed.String(), "\n") != 2 {
				t.Errorf("the failed records: %s", failed.String())
			}
			if len(*waits) < 3 || (*waits)[0] != uploader.Pause || (*waits)[1] != 2*uploader.Pause || (*waits)[2] != 4*uploader.Pause {
				t.Errorf("waited %v", *waits)
			}
			if all := strings.Join(*told, "\n"); !strings.Contains(all, fmt.Sprintf("uploaded %d of %d bytes", len(file), len(file))) ||
				!strings.Contains(all, fmt.Sprintf("done %d of %d records", records, records)) || strings.Contains(all, u.API.Token) {
				t.Errorf("told %s", all)
			}
		})
		t.Run("again after it broke off", func(t *testing.T) {
			a := w.found(setup{}, "broken")
			ctx, cancel := context.WithCancel(t.Context())
			n := 0
			u, _, _ := a.uploaded(file, &http.Client{Transport: trip(func(r *http.Request) (*http.Response, error) {
				if n++; n == 3 {
					cancel() // Ctrl-C before the second part
				}
				return http.DefaultTransport.RoundTrip(r)
			})})
			if _, err := u.Run(ctx); !errors.Is(err, context.Canceled) || u.ID == "" {
				t.Fatalf("broken off: %v", err)
			}
			other, _, _ := a.uploaded(file[:limits.ImportPartBytes-1], http.DefaultClient)
			other.Resume = u.ID
			if _, err := other.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another file") {
				t.Errorf("with a shorter file: %v", err)
			}
			again, told, _ := a.uploaded(file, http.DefaultClient)
			again.Resume = u.ID
			r, err := again.Run(t.Context())
			check(t, a, r, err)
			if got := strings.Count(strings.Join(*told, "\n"), "uploaded "); got != 2 {
				t.Errorf("%d parts were uploaded again of three, one of which was there", got)
			}
		})
		t.Run("not when it is refused", func(t *testing.T) {
			a := w.found(setup{}, "refused")
			for what, change := range map[string]func(*uploader.Upload){
				"UNAUTHENTICATED": func(u *uploader.Upload) { u.API.Token = "x" },
				"FORBIDDEN":       func(u *uploader.Upload) { u.API.Token = a.bearer("analyst", a.account) },
				"NOT_FOUND":       func(u *uploader.Upload) { u.Resume = a.uploading("openid\n", 7); a.forgotten(u.Resume) },
				"INVALID":         func(u *uploader.Upload) { u.File, u.Size = strings.NewReader("openid,colour\nx,red\n"), 20 },
			} {
				u, _, waits := a.uploaded(file, http.DefaultClient)
				change(u)
				_, err := u.Run(t.Context())
				if refused := (*apiclient.Refusal)(nil); !errors.As(err, &refused) || refused.Extensions.Code != what {
					t.Errorf("want %s: %v", what, err)
				}
				if len(*waits) > 0 {
					t.Errorf("%s was tried again", what)
				}
			}
		})
	})
}

// forgotten deletes an import.
func (t *tenant) forgotten(id string) {
	t.tb.Helper()
	t.do("admin", `mutation($i: ID!) { deleteImport(input: {importId: $i}) { importId } }`, map[string]any{"i": id})
}
