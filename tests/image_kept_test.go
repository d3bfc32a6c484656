package tests

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
)

// Ensure an image whose file is missing, as after a restore of the database, gets it back from whoever uploads the same bytes, and says so where it cannot be
// kept; that what a call left that died in between is neither lost nor left over; and that files and rows are the same when images are deleted meanwhile (rule H6).
func TestImageGivenBack(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a := w.found(setup{}, "main")
		data := imageOf(t, "PNG", 4, 3)
		image := a.keptImages("admin", data)[0]
		id := keyOf(t, image.text("image.id"))
		path := filesIn(t, folder)[0]
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if resp, _ := w.fetch(http.MethodGet, image.text("image.url")); resp.StatusCode != 404 || !w.logged.forget("the file of an image is not there") {
			t.Errorf("without its file: %d", resp.StatusCode)
		}
		if again := a.keptImages("admin", data)[0]; again.text("image.id") != image.text("image.id") || w.count("SELECT COUNT(*) FROM image_file") != 0 {
			t.Errorf("again: %v", again.Data)
		}
		if resp, bytes := w.fetch(http.MethodGet, image.text("image.url")); resp.StatusCode != 200 || string(bytes) != string(data) {
			t.Errorf("given back: %d", resp.StatusCode)
		}
		// A file stands where the account's folder was: nothing can be kept or looked for there.
		kept := filepath.Join(folder, "kept")
		if err := errors.Join(os.Rename(filepath.Dir(path), kept), os.WriteFile(filepath.Dir(path), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		for _, r := range w.results(w.sendFiles(a.bearer("admin", a.account), uploadText, nil, data, imageOf(t, "PNG", 5, 3))) {
			if r.text("error.code") != "UNAVAILABLE" {
				t.Errorf("a file that cannot be kept: %v", r.Data)
			}
		}
		if !w.logged.forget("an image could not be kept") {
			t.Error("nothing is logged")
		}
		if err := errors.Join(os.Remove(filepath.Dir(path)), os.Rename(kept, filepath.Dir(path))); err != nil {
			t.Fatal(err)
		}
		// A call died that was giving the file back: while the image is there its file stays.
		row := func(due models.Time) {
			if _, err := w.db.ExecContext(t.Context(), fmt.Sprintf("INSERT INTO image_file (account_id, id, image_id, due_at) VALUES (X'%s', X'%s', X'%s', %d)", a.account, models.NewKey(), id, due)); err != nil {
				t.Fatal(err)
			}
		}
		w.sweptImages()
		row(w.Services.Now())
		row(w.Services.Now())
		w.sweptImages()
		if n := w.count("SELECT COUNT(*) FROM image_file WHERE image_id = ?", id); n != 0 || len(filesIn(t, folder)) != 1 {
			t.Errorf("of an image that is there: %d rows, %d files", n, len(filesIn(t, folder)))
		}
		// One is giving it back while the image is deleted: its file goes at once, and once more when that call says, or dies.
		w.clock.Advance(limits.ImageKept)
		row(w.Services.Now().Add(limits.ImageKept))
		w.sweptImages()
		if n := w.count("SELECT COUNT(*) FROM image"); n != 0 || len(filesIn(t, folder)) != 0 || w.count("SELECT COUNT(*) FROM image_file") != 1 {
			t.Errorf("%d images, %d files", n, len(filesIn(t, folder)))
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(limits.ImageKept)
		w.sweptImages()
		if n := w.count("SELECT COUNT(*) FROM image_file"); n != 0 || len(filesIn(t, folder)) != 0 {
			t.Errorf("%d rows and %d files are left", n, len(filesIn(t, folder)))
		}
	})
}

// Ensure a file that is given back beside the sweep that deletes its image belongs to an image, or is deleted (rule H6).
func TestImageGivenBackBesideSweep(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a := w.found(setup{}, "main")
		token := a.bearer("admin", a.account)
		for round := range 25 {
			data := imageOf(t, "PNG", 10+round, 3)
			id := keyOf(t, a.upload("admin", data)[0])
			if err := os.Remove(filepath.Join(folder, a.account.String(), id.String())); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(limits.ImageKept)
			var wg sync.WaitGroup
			for range 2 {
				wg.Go(func() {
					if _, err := w.Services.SweepImages(context.Background()); err != nil {
						t.Errorf("sweep: %v", err)
					}
				})
				wg.Go(func() {
					if r := w.results(w.sendFiles(token, uploadText, nil, data)); r[0].text("image.id") == "" {
						t.Errorf("round %d: %v", round, r[0].Data)
					}
				})
			}
			wg.Wait()
			// The sweep may take a file that is being written: its call looks again, and the file, which may come yet, is deleted later.
			unkept := w.logged.forget("an image could not be kept")
			w.clock.Advance(time.Microsecond)
			w.sweptImages()
			rows, files, waiting := w.count("SELECT COUNT(*) FROM image"), len(filesIn(t, folder)), w.count("SELECT COUNT(*) FROM image_file")
			if rows != int64(files) || waiting != 0 && !unkept {
				t.Fatalf("round %d: %d images, %d files, %d of which are to be deleted", round, rows, files, waiting)
			}
		}
		w.clock.Advance(limits.ImageKept)
		w.sweptImages()
		if rows, files, waiting := w.count("SELECT COUNT(*) FROM image"), len(filesIn(t, folder)), w.count("SELECT COUNT(*) FROM image_file"); rows != 0 || files != 0 || waiting != 0 {
			t.Errorf("in the end there are %d images, %d files, %d of which are to be deleted", rows, files, waiting)
		}
	})
}

// Ensure an advisor uploads so many images in 24 hours and no more, the same bytes counting once, and others go on (rule H6).
func TestImagesOfADay(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, folder := withImages(t, dsn, nil)
		a := w.found(setup{Advisors: []string{"anna", "ben"}}, "main")
		anna := keyOf(t, a.names["id anna"])
		var rows strings.Builder
		for i := range limits.ImagesPerAdvisorDay - 1 {
			fmt.Fprintf(&rows, ",(X'%s',X'%s',X'%s',%d)", a.account, models.NewKey(), anna, int64(w.Services.Now())+int64(i%2))
		}
		if _, err := w.db.ExecContext(t.Context(), "INSERT INTO image_uploader (account_id, image_id, advisor_id, at) VALUES "+rows.String()[1:]); err != nil {
			t.Fatal(err)
		}
		last, more := imageOf(t, "PNG", 4, 3), imageOf(t, "PNG", 5, 3)
		codes := func(who string, files ...[]byte) (codes []string) {
			for i, r := range w.results(w.sendFiles(a.bearer(who, a.account), uploadText, nil, files...)) {
				if code := r.text("error.code"); code == "LIMIT_EXCEEDED" && (r.field("error.limit") != float64(limits.ImagesPerAdvisorDay) || r.text("error.field") != fmt.Sprintf("input.files.%d", i)) {
					t.Errorf("%v", r.Data)
				}
				codes = append(codes, r.text("error.code"))
			}
			return codes
		}
		for _, step := range []struct {
			of, who string
			files   [][]byte
			want    string
		}{
			{"the last twice, and one more", "anna", [][]byte{last, last, more}, "[  LIMIT_EXCEEDED]"},
			{"the last again", "anna", [][]byte{more, last}, "[LIMIT_EXCEEDED ]"},
			{"the merchant", "admin", [][]byte{more}, "[]"},
			{"what the account has", "anna", [][]byte{more}, "[LIMIT_EXCEEDED]"},
			{"another advisor", "ben", [][]byte{more}, "[]"},
		} {
			if got := fmt.Sprint(codes(step.who, step.files...)); got != step.want {
				t.Errorf("%s: %s, want %s", step.of, got, step.want)
			}
		}
		// As an erasure leaves them: who is refused keeps none of them, who is not does.
		if _, err := w.db.ExecContext(t.Context(), fmt.Sprintf("UPDATE image SET unused_since = %d", models.ImageForgotten)); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			who  string
			want int64
		}{{"anna", 2}, {"ben", 1}} {
			codes(step.who, more)
			if n := w.count("SELECT COUNT(*) FROM image WHERE unused_since = ?", models.ImageForgotten); n != step.want {
				t.Errorf("%s came with one: %d are forgotten, want %d", step.who, n, step.want)
			}
		}
		codes("admin", last)
		w.clock.Advance(time.Microsecond)
		w.sweptImages()
		if n := len(filesIn(t, folder)); n != 2 || w.count("SELECT COUNT(*) FROM image_file") != 0 {
			t.Errorf("%d files", n)
		}
		// Of those before, the half that is 24 hours old counts no more.
		w.clock.Advance(limits.ImageDay - 2*time.Microsecond)
		if got := codes("anna", more); got[0] != "LIMIT_EXCEEDED" {
			t.Errorf("before its time: %v", got)
		}
		w.clock.Advance(time.Microsecond)
		if got := codes("anna", more); got[0] != "" {
			t.Errorf("a day later: %v", got)
		}
	})
}

// Ensure a secret for addresses that no key opens is replaced by whoever needs it first, and by one only: avatars, uploads and the export of a person go on (rules A4, E13).
func TestURLSecretLost(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		w, _ := withImages(t, dsn, nil)
		a := w.found(setup{Advisors: []string{"anna"}, Customers: []string{"wei of anna"}}, "main")
		a.do("admin", avatarText, map[string]any{"o": "wei", "i": a.upload("admin", imageOf(t, "PNG", 4, 3))[0]})
		for _, of := range []struct {
			text, path string
		}{
			{`{ customer(by: {openid: "wei"}) { avatar { url } } }`, "customer.avatar.url"},
			{`mutation { exportCustomer(input: {customer: {openid: "wei"}}) { lines } }`, ""},
		} {
			if _, err := w.db.ExecContext(t.Context(), "UPDATE account SET sealed_url_secret = X'0102030405'"); err != nil {
				t.Fatal(err)
			}
			const callers = 6
			addresses := make([]string, callers)
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					got := w.ask(a.bearer("admin", a.account), of.text, nil)
					if of.path != "" {
						addresses[i] = got.text(of.path)
					} else if _, behind, found := strings.Cut(string(got.body), `avatarImageUrl\":\"`); found {
						addresses[i], _, _ = strings.Cut(behind, `\"`)
						addresses[i] = strings.ReplaceAll(addresses[i], `\\u0026`, "&")
					}
				})
			}
			wg.Wait()
			for _, address := range addresses {
				if resp, _ := w.fetch(http.MethodGet, address); resp.StatusCode != 200 {
					t.Errorf("%s: %q is answered %d", of.text, address, resp.StatusCode)
				}
			}
			if !w.logged.forget("cannot be opened; it gets another") {
				t.Error("nothing is logged")
			}
		}
	})
}

// Ensure a code with an avatar whose file is gone says what is wrong, and one whose file cannot be read now says to try again (rule C4).
func TestCodePictureWithoutFile(t *testing.T) {
	w, folder := withImages(t, testkit.SQLite(t), nil)
	a := w.found(setup{Advisors: []string{"anna"}}, "main")
	a.label("spring", toAdvisor("anna"))
	a.do("admin", `mutation($i: ID!) { updateAdvisor(input: {advisor: {openid: "anna"}, avatarImageId: $i}) { advisor { id } } }`, map[string]any{"i": a.upload("admin", imageOf(t, "PNG", 40, 40))[0]})
	code := func() string {
		return a.try("admin", `query($c: ID!) { qrCodePicture(codeId: $c, hasAdvisorAvatar: true) { data } }`, map[string]any{"c": a.names["id code spring"]}).code()
	}
	path := filesIn(t, folder)[0]
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := code(); got != "STATE" || !w.logged.forget("the file of an image is not there") {
		t.Errorf("a file that is gone: %q", got)
	}
	if err := errors.Join(os.Remove(filepath.Dir(path)), os.WriteFile(filepath.Dir(path), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := code(); got != "UNAVAILABLE" || !w.logged.forget("could not be read") {
		t.Errorf("a file that cannot be read: %q", got)
	}
}
