package people

import (
	"context"
	"fmt"
	"strings"
	"time"

	"clientele/bench/rig"
	"clientele/limits"
)

// imports has the product import a file of new customers, each with a nickname, a tag and an advisor, and the floor insert as many
// rows into the same tables. In the middle of the file is one record that is none, which alone may fail.
func (r *run) imports(ctx context.Context) error {
	// So many that none is full, which have others already.
	advisors := max(1, min(r.Set.Advisors/2, max(100, r.Import/1_000)))
	// Others in each run: a data set that is kept has room for many.
	first := 1 + int(time.Now().UnixNano()/int64(time.Millisecond))%(r.Set.Advisors-advisors)
	openid := func(side string, i int) string { return fmt.Sprintf("o%s%s%08d", r.stamp, side, i) }
	var file strings.Builder
	file.WriteString("openid,nickname,tags,advisor_openid\n")
	for i := range r.Import {
		if i == r.Import/2 {
			fmt.Fprintf(&file, "%s,Nobody,unknown,\n", openid("bad", i))
		}
		fmt.Fprintf(&file, "%s,Imported %d,%s,%s\n", openid("p", i), i, tagName, rig.AdvisorOpenID(first+i%advisors))
	}
	r.Tell("importing %d customers", r.Import)
	began := time.Now()
	id, err := r.upload(ctx, file.String())
	if err != nil {
		return err
	}
	uploaded := time.Since(began)
	// Half of the floor before the product, half behind it: what slows the machine slows both.
	half := r.Import / 2
	floor, err := r.floor.fill(ctx, first, advisors, r.option, func(i int) string { return openid("f", i) }, 0, half)
	if err != nil {
		return err
	}
	stop := r.StartProfile(ctx, "people", profileTime)
	began = time.Now()
	if err := r.work(ctx, id); err != nil {
		return err
	}
	product := time.Since(began)
	if err := stop(); err != nil {
		return err
	}
	rest, err := r.floor.fill(ctx, first, advisors, r.option, func(i int) string { return openid("f", i) }, half, r.Import)
	if err != nil {
		return err
	}
	floor += rest
	r.line.Add("import", r.Import).Add("upload_s", uploaded.Seconds()).Add("import_per_s", float64(r.Import)/product.Seconds()).
		Add("floor_import_per_s", float64(r.Import)/floor.Seconds()).Add("ratio_import", floor.Seconds()/product.Seconds())
	return nil
}

// upload uploads a file and answers the import's id.
func (r *run) upload(ctx context.Context, file string) (string, error) {
	var created struct {
		CreateImport struct{ Import struct{ ID string } }
	}
	if err := r.Ask(ctx, r.admin, `mutation { createImport(input: {kind: CUSTOMERS}) { import { id } } }`, nil, &created); err != nil {
		return "", err
	}
	id := created.CreateImport.Import.ID
	for at := 0; at < len(file); at += limits.ImportPartBytes {
		part := []byte(file[at:min(at+limits.ImportPartBytes, len(file))])
		err := r.Ask(ctx, r.admin, `mutation($i: ID!, $at: Int!, $data: Base64!) { uploadImport(input: {importId: $i, offset: $at, data: $data}) { import { size } } }`,
			map[string]any{"i": id, "at": at, "data": part}, nil)
		if err != nil {
			return "", err
		}
	}
	return id, nil
}

// told fails unless one record of a job failed, that one, and for its tag.
func (r *run) told(ctx context.Context, job string) error {
	var failed struct {
		Job struct {
			FailedItems struct {
				Nodes []struct {
					Number int
					Error  struct{ Code, Field string }
				}
			}
		}
	}
	if err := r.Ask(ctx, r.admin, `query($j: ID!) { job(jobId: $j) { failedItems(first: 10) { nodes { number error { code field } } } } }`, map[string]any{"j": job}, &failed); err != nil {
		return err
	}
	nodes := failed.Job.FailedItems.Nodes
	if len(nodes) != 1 || nodes[0].Number != r.Import/2+1 || nodes[0].Error.Field != "tags" {
		return fmt.Errorf("what is told of the one bad record is %+v", nodes)
	}
	return nil
}

// work starts the import's job and returns when it has ended.
func (r *run) work(ctx context.Context, id string) error {
	var started struct {
		StartImport struct{ Job struct{ ID string } }
	}
	if err := r.Ask(ctx, r.admin, `mutation($i: ID!) { startImport(input: {importId: $i}) { job { id } } }`, map[string]any{"i": id}, &started); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, importTime)
	defer cancel()
	for {
		var now struct {
			Job struct {
				State        string
				ChangedCount int
			}
		}
		if err := r.Ask(ctx, r.admin, `query($j: ID!) { job(jobId: $j) { state changedCount } }`, map[string]any{"j": started.StartImport.Job.ID}, &now); err != nil {
			return err
		}
		switch now.Job.State {
		case "QUEUED", "RUNNING":
		case "FINISHED":
			if now.Job.ChangedCount != r.Import {
				return fmt.Errorf("%d of %d were imported", now.Job.ChangedCount, r.Import)
			}
			return r.told(ctx, started.StartImport.Job.ID)
		default:
			return fmt.Errorf("the job is %s", now.Job.State)
		}
		if err := rig.Sleep(ctx, 100*time.Millisecond); err != nil {
			return err
		}
	}
}

// profileTime is how long the import is profiled, if it is.
const profileTime = 5 * time.Second

// importTime is how long an import may take.
const importTime = 30 * time.Minute
