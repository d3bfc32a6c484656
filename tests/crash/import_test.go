package crash

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// The size of an import that is killed: enough chunks that each kill meets one.
const (
	importRecords  = 5 * limits.ImportRecords
	importAdvisors = 3
	importPart     = 80_000 // bytes that are uploaded together
	importKills    = 3
	mostAsked      = 30 // questions between what was awaited and the kill, so that it comes at any moment of the next chunk
)

// follower is what a file says of a person.
type follower struct {
	nickname, tags, advisor string
	chunk                   int // that made them
}

// importFile is a file and what it must leave in the database: rows as text, and how often each is there.
type importFile struct {
	kind    models.ImportKind
	text    string
	records int
	facts   map[string]int
	// asks are the queries for the facts.
	asks []string
	// makes counts what the file makes, which is made of them in the end.
	makes string
	made  int
	// prepare makes what the file speaks of, before the nodes start, and begin by them; nil: nothing.
	prepare func(*rig, *store.Store)
	begin   func(r *rig, admin string)
	// there reports whether what a record of a number says is there; nil: the job's progress is asked.
	there func(r *rig, admin string, record int) bool
}

// Which records of fifty are bad, or say more of somebody of whom the file spoke before.
const (
	fifty      = 50
	badTag     = 13
	badAdvisor = 27
	badRecord  = 37
	again      = 48 // of the one before
	againLater = 49 // of one a chunk before
)

// newImportFile makes a file of so many records, with bad ones among them or without.
func newImportFile(records int, bad bool) *importFile {
	f := &importFile{
		kind: models.ImportCustomers, records: records, facts: map[string]int{}, asks: slices.Concat(importFacts, jobFacts), makes: "SELECT COUNT(*) FROM customer",
		prepare: func(r *rig, s *store.Store) { importMembers(r, s) }, begin: importTags, there: importedFollower,
	}
	var text strings.Builder
	text.WriteString("openid,nickname,tags,advisor_openid\n")
	people, told := map[string]*follower{}, map[[2]string]bool{}
	changed := 0
	for i := range records {
		who, chunk := fmt.Sprintf("f-%d", i), i/limits.ImportRecords
		said := follower{nickname: fmt.Sprintf("N%d", i), tags: []string{"", "gold", "gold;green"}[i%3], chunk: chunk}
		if a := i % (importAdvisors + 1); a < importAdvisors {
			said.advisor = fmt.Sprintf("member-%d", a)
		}
		why := ""
		switch kind := i % fifty; {
		case kind == badTag && bad:
			said.tags, why = "bronze", "tags NOT_FOUND"
		case kind == badAdvisor && bad:
			said.advisor, why = "nobody", "advisor_openid NOT_FOUND"
		case kind == badRecord && bad:
			why = " INVALID"
		case kind == again:
			who, said.tags, said.advisor = fmt.Sprintf("f-%d", i-1), "", ""
		case kind == againLater && i >= limits.ImportRecords:
			who, said.tags, said.advisor = fmt.Sprintf("f-%d", i-againLater-limits.ImportRecords+fifty), "", ""
		}
		if why == " INVALID" {
			text.WriteString(who + ",too few\n")
		} else {
			fmt.Fprintf(&text, "%s,%s,%s,%s\n", who, said.nickname, said.tags, said.advisor)
		}
		if why != "" {
			f.facts[fmt.Sprintf("failed %d %s", i+1, why)]++
			continue
		}
		changed++
		p := people[who]
		if p == nil {
			p = &said
			people[who] = p
		} else {
			if p.chunk != chunk { // of who is made in the same transaction nothing was before
				f.facts[fmt.Sprintf("change %s NICKNAME %s %s", who, p.nickname, said.nickname)]++
			}
			p.nickname = said.nickname
		}
		if p.advisor != "" {
			told[[2]string{p.advisor, fmt.Sprint(chunk)}] = true
		}
	}
	customers := map[string]int{}
	for who, p := range people {
		f.facts[fmt.Sprintf("customer %s %s FOLLOWING %s %s", who, p.nickname, p.advisor, p.advisor)]++
		for tag := range strings.SplitSeq(p.tags, ";") {
			if tag != "" {
				f.facts[fmt.Sprintf("tag %s %s %s", who, tag, p.advisor)]++
			}
		}
		if p.advisor != "" {
			f.facts[fmt.Sprintf("binding %s %s BOUND", who, p.advisor)]++
			customers[p.advisor]++
		}
	}
	events := map[string]int{}
	for of := range told {
		events[of[0]]++
	}
	for advisor, n := range customers {
		f.facts[fmt.Sprintf("advisor %s %d %d", advisor, n, events[advisor])]++
	}
	f.finish(text.String(), len(people), changed, (records+limits.ImportRecords-1)/limits.ImportRecords)
	return f
}

// importMembers makes the advisors member-0 to member-2.
func importMembers(r *rig, s *store.Store) []*models.Advisor {
	r.Helper()
	return testkit.Advisors(r, s, r.accounts[0], importAdvisors, func(i int, a *models.Advisor) { a.OpenID = models.Ident(fmt.Sprint("member-", i)) })
}

func importTags(r *rig, admin string) {
	r.Helper()
	var made struct{ Tag, Option struct{ ID string } }
	r.must(admin, `mutation { createTag(input: {name: "level"}) { tag { id } } }`, nil, "createTag", &made)
	for _, name := range []string{"gold", "green"} {
		r.must(admin, `mutation($t: ID!, $n: String!) { createTagOption(input: {tagId: $t, name: $n}) { option { id } } }`,
			map[string]any{"t": made.Tag.ID, "n": name}, "createTagOption", &made)
	}
}

func importedFollower(r *rig, admin string, record int) bool {
	var c struct{ ID string }
	return r.asked(admin, `query($o: Identifier!) { customer(by: {openid: $o}) { id } }`, map[string]any{"o": fmt.Sprintf("f-%d", record)}, "customer", &c)
}

// importFacts asks for what newImportFile says.
var importFacts = []string{
	`SELECT 'customer', c.openid, c.nickname, c.follow_state, a.openid, b.openid FROM customer c
		LEFT JOIN conversation v ON v.account_id = c.account_id AND v.customer_id = c.id
		LEFT JOIN advisor a ON a.account_id = c.account_id AND a.id = c.advisor_id
		LEFT JOIN advisor b ON b.account_id = v.account_id AND b.id = v.advisor_id`,
	`SELECT 'tag', c.openid, o.name, a.openid FROM customer_tag t JOIN customer c ON c.account_id = t.account_id AND c.id = t.customer_id
		JOIN tag_option o ON o.account_id = t.account_id AND o.id = t.option_id LEFT JOIN advisor a ON a.account_id = t.account_id AND a.id = t.advisor_id`,
	`SELECT 'binding', c.openid, a.openid, b.change_kind FROM binding b JOIN customer c ON c.account_id = b.account_id AND c.id = b.customer_id
		JOIN advisor a ON a.account_id = b.account_id AND a.id = b.advisor_id`,
	`SELECT 'change', c.openid, h.field, h.was, h.became FROM customer_change h JOIN customer c ON c.account_id = h.account_id AND c.id = h.customer_id`,
	`SELECT 'advisor', a.openid, a.customer_count, COUNT(e.seq) FROM advisor a
		LEFT JOIN event e ON e.account_id = a.account_id AND e.stream_id = a.id AND e.kind = 'CUSTOMERS_IMPORTED' WHERE a.customer_count > 0 GROUP BY a.openid, a.customer_count`,
}

// differences is what a database has otherwise than a file says.
func (f *importFile) differences(found map[string]int) (all []string) {
	for fact, n := range f.facts {
		if found[fact] != n {
			all = append(all, fmt.Sprintf("%q is there %d times, not %d", fact, found[fact], n))
		}
	}
	for fact, n := range found {
		if f.facts[fact] == 0 {
			all = append(all, fmt.Sprintf("%q is there %d times", fact, n))
		}
	}
	slices.Sort(all)
	return all
}

// Ensure an import goes on where it was when the servers are killed, between parts that are uploaded and while its job
// works: every good record is there once, and every bad one is told of once (rules B7, E11, N4, ADR 0027, ADR 0032).
func TestImportKilled(t *testing.T) {
	for name, of := range map[string]struct {
		empty func(testing.TB) string
		nodes int
	}{"sqlite": {testkit.EmptySQLite, 1}, "mysql": {testkit.EmptyMySQL, 2}} {
		for _, f := range []*importFile{newImportFile(importRecords, true), newAdvisorsFile(), newMessagesFile()} {
			t.Run(strings.ToLower(string(f.kind))+"/"+name, func(t *testing.T) {
				t.Parallel()
				r := foundRig(t, of.empty(t))
				found := r.imports(f, of.nodes, importKills, "")
				if len(found) > 0 {
					t.Errorf("%d rows are not what the file says, such as:\n%s", len(found), strings.Join(found[:min(len(found), 20)], "\n"))
				}
			})
		}
	}
}

// Ensure what is looked for after such a kill is found when it is there: progress that is committed apart from what
// it is the progress of loses a chunk, or does it twice.
func TestImportSabotageIsFound(t *testing.T) {
	for _, tt := range []struct {
		sabotage string
		empty    func(testing.TB) string
		kills    int
		want     []string
	}{
		{"progress-early", testkit.EmptyMySQL, 0, []string{`"customer f-0 N0 FOLLOWING member-0 member-0" is there 0 times, not 1`, `"tag f-1 gold member-1" is there 0 times, not 1`}},
		{"progress-late", testkit.EmptySQLite, 1, []string{`"change f-47 NICKNAME N48 N47" is there 1 times`, `"job FINISHED`, `"advisor member-0`}},
	} {
		t.Run(tt.sabotage, func(t *testing.T) {
			t.Parallel()
			r := foundRig(t, tt.empty(t))
			r.spoiled = true
			found := r.imports(newImportFile(4*limits.ImportRecords, false), 1, tt.kills, "sabotage", sabotageEnv+"="+tt.sabotage)
			for _, want := range tt.want {
				if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, want) }) {
					t.Errorf("%s was not found to say that %s; what was found:\n%s", tt.sabotage, want, strings.Join(found[:min(len(found), 20)], "\n"))
				}
			}
		})
	}
}

// uploads uploads a file. When the nodes are killed meanwhile, the client asks how much is there, and goes on with that.
func (r *rig) uploads(admin, id string, f *importFile, kill bool) {
	r.Helper()
	var file struct{ Size, RecordCount int }
	size := func() int {
		r.must(admin, `query($i: ID!) { import(importId: $i) { size recordCount } }`, map[string]any{"i": id}, "import", &file)
		return file.Size
	}
	for part, at := 0, 0; at < len(f.text); part++ {
		end := min(at+importPart, len(f.text))
		add := func() error {
			_, err := r.ask(r.nodes[part%len(r.nodes)], admin, `mutation($i: ID!, $at: Int!, $data: Base64!) { uploadImport(input: {importId: $i, offset: $at, data: $data}) { import { size } } }`,
				map[string]any{"i": id, "at": at, "data": []byte(f.text[at:end])})
			return err
		}
		switch {
		case kill && part == 1: // between two parts
			if err := add(); err != nil {
				r.Fatalf("upload: %v", err)
			}
			r.killAll(func(*sql.DB) {})
			if at = size(); at != end {
				r.Fatalf("of %d bytes that were acknowledged %d are there", end, at)
			}
		case kill && part == 3: // in the middle of one
			answered := make(chan error, 1)
			go func() { answered <- add() }()
			for range rand.IntN(3) {
				size()
			}
			r.killAll(func(*sql.DB) {})
			err := <-answered
			if err != nil && !passing(err) {
				r.Fatalf("upload: %v", err)
			}
			there := size()
			if there != end && (there != at || err == nil) {
				r.Fatalf("of %d bytes, %d of them acknowledged, %d are there; the answer: %v", end, at, there, err)
			}
			// Whether it arrived or not, the same may be sent again.
			if err := add(); err != nil {
				r.Fatalf("upload again: %v", err)
			}
			at = size()
		default:
			if err := add(); err != nil {
				r.Fatalf("upload: %v", err)
			}
			at = end
		}
	}
	if size(); file.Size != len(f.text) || file.RecordCount != f.records {
		r.Fatalf("the file has %d bytes and %d records, not %d and %d", file.Size, file.RecordCount, len(f.text), f.records)
	}
}

// imports imports a file while every node is killed so often, and answers what came of it otherwise than it should.
func (r *rig) imports(f *importFile, nodes, kills int, tags string, environment ...string) (differences []string) {
	r.Helper()
	account := r.accounts[0]
	if f.prepare != nil {
		r.opened(func(s *store.Store) { f.prepare(r, s) })
	}
	admin := r.admin[account.Key]
	r.startNodes(binary(r, tags), nodes, environment...)
	var made struct {
		Import struct{ ID string }
		Job    struct{ ID string }
	}
	if f.begin != nil {
		f.begin(r, admin)
	}
	r.must(admin, `mutation($k: ImportKind!) { createImport(input: {kind: $k}) { import { id } } }`, map[string]any{"k": f.kind}, "createImport", &made)
	r.uploads(admin, made.Import.ID, f, kills > 1)
	start := func() string {
		r.must(admin, `mutation($i: ID!) { startImport(input: {importId: $i}) { job { id } } }`, map[string]any{"i": made.Import.ID}, "startImport", &made)
		return made.Job.ID
	}
	id := start()
	var job struct {
		State                               string
		TotalCount, DoneCount, ChangedCount int
	}
	read := func() bool {
		return r.asked(admin, `query($id: ID!) { job(jobId: $id) { state totalCount doneCount changedCount } }`, map[string]any{"id": id}, "job", &job)
	}
	var met []int
	for n := range kills {
		// What is there is so by a chunk that was committed; the next is being worked at.
		share := f.records / (kills + 1)
		goal := n*share/fifty*fifty + fifty
		if r.spoiled { // what is done twice shows the better, the more there was
			goal = (n + 1) * share / fifty * fifty
		}
		r.await(fmt.Sprintf("record %d is dealt with", goal), func() bool {
			if f.there == nil {
				return read() && job.DoneCount >= goal
			}
			return f.there(r, admin, goal)
		})
		read()
		for n, was := rand.IntN(mostAsked), job.DoneCount; n > 0 && job.DoneCount == was && !r.spoiled; n-- {
			read()
		}
		r.killAll(func(db *sql.DB) {
			met = append(met, r.count(db, f.makes))
			r.exec(db, endJobLeases)
		})
	}
	if again := start(); again != id {
		r.Errorf("the import answers job %s, not %s", again, id)
	}
	r.await("the job has ended", func() bool { return read() && job.State != "QUEUED" && job.State != "RUNNING" })
	r.Logf("killed where %v of what it makes were there; the job is %+v", met, job)
	r.half(met, f.made)
	r.stop()
	found := map[string]int{}
	r.openedSQL(func(db *sql.DB) {
		for _, query := range f.asks {
			r.facts(db, found, query)
		}
	})
	return f.differences(found)
}
