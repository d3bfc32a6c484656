package crash

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
)

// The size of a run of uploads: how many are at work at the same time, how many requests are acknowledged between kills, and how many kills there are.
const (
	uploadersAtOnce = 5
	uploadsBetween  = 4
	uploadKills     = 3
)

// Ensure uploads that are killed leave nothing wrong: whatever was acknowledged is there, whole, by its address; the account's images are counted
// as they are; and once what belongs to none has been swept, each file is an image's and each image has its file (rule H6, ADR 0042).
func TestUploadKilled(t *testing.T) {
	for name, of := range map[string]struct {
		empty func(testing.TB) string
		nodes int
	}{"sqlite": {testkit.EmptySQLite, 1}, "mysql": {testkit.EmptyMySQL, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := foundRig(t, of.empty(t))
			folder := filepath.Join(t.TempDir(), "images")
			r.startNodes(binary(t, ""), of.nodes, "CLIENTELE_IMAGES="+folder)
			r.killUploads(&uploading{rig: r, folder: folder, kept: map[string][]byte{}})
		})
	}
}

// uploading is what is uploaded, and what was acknowledged of it.
type uploading struct {
	*rig
	folder string

	mu   sync.Mutex
	next int
	kept map[string][]byte // by the ids of images
	told int               // requests that were acknowledged
}

func (r *rig) killUploads(u *uploading) {
	r.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var working sync.WaitGroup
	defer working.Wait()
	defer stop()
	for n := range uploadersAtOnce {
		// Of both accounts, with tokens of their own: a token holds few places.
		a := r.advisors[n*len(r.advisors)/uploadersAtOnce]
		working.Go(func() { u.work(ctx, a.token, n) })
	}
	var met []int
	for range uploadKills {
		goal := u.acknowledged() + uploadsBetween
		r.await(fmt.Sprint(goal, " uploads were acknowledged"), func() bool { return u.acknowledged() >= goal })
		before := len(u.files())
		r.await("another file is written", func() bool { return len(u.files()) > before })
		r.killAll(func(db *sql.DB) {
			met = append(met, r.count(db, "SELECT COUNT(*) FROM image_file"))
			u.check(db)
		})
	}
	goal := u.acknowledged() + uploadsBetween
	r.await("uploads go on", func() bool { return u.acknowledged() >= goal })
	stop()
	working.Wait()
	images := 0
	r.killAll(func(db *sql.DB) {
		u.check(db)
		r.exec(db, "UPDATE image_file SET due_at = 0") // as if a day had gone
		images = r.count(db, "SELECT COUNT(*) FROM image")
	})
	r.await("what belongs to no image is swept", func() bool { return len(u.files()) <= images })
	u.read()
	r.stop()
	r.openedSQL(func(db *sql.DB) {
		u.check(db)
		if files := len(u.files()); files != images {
			r.Errorf("%d files of %d images", files, images)
		}
	})
	for _, fault := range r.told() {
		r.Error(fault)
	}
	r.Logf("killed while %v files belonged to no image; %d requests acknowledged, %d images", met, u.told, images)
	if slices.Max(met) == 0 {
		r.Error("no kill met an upload")
	}
}

func (u *uploading) acknowledged() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.told
}

// files are the accounts and keys of the files that are there. One that was being written when its node died has another name, and is none.
func (u *uploading) files() (all []string) {
	err := filepath.WalkDir(u.folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(d.Name(), ".") {
			all = append(all, filepath.Base(filepath.Dir(path))+" "+d.Name())
		}
		if os.IsNotExist(err) { // it was renamed meanwhile, or nothing was uploaded yet
			return nil
		}
		return err
	})
	if err != nil {
		u.fault("the files: %v", err)
	}
	return all
}

// check compares the files with the rows, and the rows with the counters of the accounts, while no node runs.
func (u *uploading) check(db *sql.DB) {
	u.Helper()
	rows, owned := map[string]int{}, map[string]int{}
	u.facts(db, owned, "SELECT LOWER(HEX(account_id)), LOWER(HEX(id)) FROM image")
	u.facts(db, rows, "SELECT LOWER(HEX(account_id)), LOWER(HEX(COALESCE(image_id, id))) FROM image_file")
	there := map[string]bool{}
	for _, file := range u.files() {
		there[file] = true
		if owned[file]+rows[file] != 1 {
			u.Errorf("the file %s is that of %d images, and %d rows say that it is of none", file, owned[file], rows[file])
		}
	}
	for image := range owned {
		if !there[image] {
			u.Errorf("the image %s has no file", image)
		}
	}
	const wrong = `SELECT COUNT(*) FROM account a WHERE image_count <> (SELECT COUNT(*) FROM image i WHERE i.account_id = a.id)
		OR image_bytes <> (SELECT COALESCE(SUM(byte_count), 0) FROM image i WHERE i.account_id = a.id)`
	if n := u.count(db, wrong); n != 0 {
		u.Errorf("the images of %d accounts are counted wrongly", n)
	}
}

// work uploads until ctx ends: what was not acknowledged comes again, and now and then what another uploader has sent.
func (u *uploading) work(ctx context.Context, token string, seed int) {
	random := rand.New(rand.NewPCG(rand.Uint64(), uint64(seed)))
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for ctx.Err() == nil {
		const most, shared = 3, 4
		files := make([][]byte, 1+random.IntN(most))
		for i := range files {
			u.mu.Lock()
			u.next++
			number := u.next
			u.mu.Unlock()
			if random.IntN(shared) == 0 {
				number = 1 + random.IntN(number)
			}
			files[i] = numbered(number)
		}
		for ctx.Err() == nil {
			ids, err := u.upload(u.nodes[random.IntN(len(u.nodes))], token, files)
			if err == nil {
				u.mu.Lock()
				for i, id := range ids {
					u.kept[id+" "+token] = files[i]
				}
				u.told++
				u.mu.Unlock()
				break
			}
			if !passing(err) {
				u.fault("upload: %v", err)
				return
			}
			<-again.C
		}
	}
}

// numbered is an image of its own for each number.
func numbered(n int) []byte {
	p := image.NewNRGBA(image.Rect(0, 0, 9, 5))
	for i := range 9 * 5 {
		p.SetNRGBA(i%9, i/9, color.NRGBA{R: byte(n), G: byte(n >> 8), B: byte(i), A: 255})
	}
	var b bytes.Buffer
	_ = png.Encode(&b, p) // into memory
	return b.Bytes()
}

// upload sends files once, and answers the ids of their images.
func (u *uploading) upload(n *node, token string, files [][]byte) (ids []string, err error) {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	operations, err := json.Marshal(map[string]any{
		"query":     `mutation($f: [Upload!]!) { uploadImages(input: {files: $f}) { results { image { id } error { code message } } } }`,
		"variables": map[string]any{"f": make([]any, len(files))},
	})
	if err != nil {
		return nil, err
	}
	paths := map[string][]string{}
	for i := range files {
		paths[fmt.Sprint(i)] = []string{fmt.Sprint("variables.f.", i)}
	}
	named, err := json.Marshal(paths)
	if err != nil {
		return nil, err
	}
	_ = form.WriteField("operations", string(operations)) // into memory, as all of it
	_ = form.WriteField("map", string(named))
	for i, file := range files {
		part, _ := form.CreateFormFile(fmt.Sprint(i), "x")
		_, _ = part.Write(file)
	}
	_ = form.Close()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, n.address()+"/graphql", &body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", form.FormDataContentType())
	request.Header.Set("GraphQL-Require-Preflight", "1")
	request.Header.Set("Authorization", "Bearer "+token)
	data, err := u.answered(request)
	if err != nil {
		return nil, err
	}
	var payload struct {
		Results []struct {
			Image struct{ ID string }
			Error *struct{ Code, Message string }
		}
	}
	if err := json.Unmarshal(data["uploadImages"], &payload); err != nil {
		return nil, err
	}
	for _, r := range payload.Results {
		if r.Error != nil {
			return nil, &refused{r.Error.Code, r.Error.Message}
		}
		ids = append(ids, r.Image.ID)
	}
	if len(ids) != len(files) {
		return nil, fmt.Errorf("%d results of %d files", len(ids), len(files))
	}
	return ids, nil
}

// read fetches all that was acknowledged by its address.
func (u *uploading) read() {
	u.Helper()
	byToken := map[string][]string{}
	for of := range u.kept {
		id, token, _ := strings.Cut(of, " ")
		byToken[token] = append(byToken[token], id)
	}
	for token, ids := range byToken {
		for some := range slices.Chunk(ids, limits.NodesPerCall) {
			var nodes []struct{ ID, URL string }
			u.must(token, `query($ids: [ID!]!) { nodes(ids: $ids) { id ... on Image { url } } }`, map[string]any{"ids": some}, "nodes", &nodes)
			for i, n := range nodes {
				if n.URL == "" {
					u.Errorf("the image %s, which was acknowledged, is not there", some[i])
					continue
				}
				request, err := http.NewRequestWithContext(u.Context(), http.MethodGet, u.nodes[i%len(u.nodes)].address()+n.URL, nil)
				if err != nil {
					u.Fatal(err)
				}
				response, err := u.http.Do(request)
				if err != nil {
					u.Fatal(err)
				}
				got, err := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if err != nil || response.StatusCode != http.StatusOK || !bytes.Equal(got, u.kept[some[i]+" "+token]) {
					u.Errorf("the image %s is answered %d with %d bytes, %v", some[i], response.StatusCode, len(got), err)
				}
			}
		}
	}
}
