package crash

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// The size of an erasure that is killed: enough transactions that each kill meets one.
const (
	erasedMessages = 24 * limits.EraseRows
	erasedChanges  = 2 * limits.EraseRows
	keptMessages   = 300 // of somebody else
	eraseKills     = 1
)

// mark is in everything that a person who is erased has said or is called, and in nothing else.
const mark = "QzMark"

// Ensure an erasure goes on when the servers are killed, at once after it was accepted and while the sweep works: at
// its end nothing of the person is left, and the receipt tells all of it (rule E13, ADR 0029).
func TestErasureKilled(t *testing.T) {
	for name, of := range map[string]struct {
		empty func(testing.TB) string
		nodes int
	}{"sqlite": {testkit.EmptySQLite, 1}, "mysql": {testkit.EmptyMySQL, 2}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := foundRig(t, of.empty(t))
			for _, wrong := range r.erases(of.nodes, eraseKills, "") {
				t.Error(wrong)
			}
		})
	}
}

// Ensure what is left of a person is found, and so is a receipt that is not of what was done: of an erasure whose
// progress is committed apart from it.
func TestErasureSabotageIsFound(t *testing.T) {
	t.Parallel()
	r := foundRig(t, testkit.EmptySQLite(t))
	r.spoiled = true
	found := r.erases(1, 0, "sabotage", sabotageEnv+"=progress-early")
	for _, want := range []string{"left in message.text", "left in customer_change.was"} {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, want) }) {
			t.Errorf("%q was not found; what was found:\n%s", want, strings.Join(found, "\n"))
		}
	}
}

// erases erases a person while every node is killed at once after the answer, and then so often in mid-work, and answers
// what is wrong then.
func (r *rig) erases(nodes, kills int, tags string, environment ...string) (wrong []string) {
	r.Helper()
	a := r.advisors[0]
	admin := r.admin[a.account.Key]
	r.opened(func(s *store.Store) { r.past(s, a) })
	r.startNodes(binary(r, tags), nodes, environment...)
	var made struct {
		Customer struct{ ID string }
		Tag      struct{ ID string }
		Erasure  struct{ ID string }
		Results  []struct{ IsChanged bool }
	}
	r.must(admin, `mutation($s: Identifier!) { simulateFollow(input: {openid: "QzMark", scene: $s, eventId: "1"}) { customer { id } } }`,
		map[string]any{"s": a.scene}, "simulateFollow", &made)
	r.must(admin, `mutation { createTag(input: {name: "level"}) { tag { id } } }`, nil, "createTag", &made)
	r.must(admin, `mutation($t: ID!) { createTagOption(input: {tagId: $t, name: "gold"}) { option { id } } }`, map[string]any{"t": made.Tag.ID}, "createTagOption", &made)
	for field, mutation := range map[string]string{
		"tagCustomers":    `mutation { tagCustomers(input: {customers: [{customer: {openid: "QzMark"}, add: [{name: "gold"}]}]}) { results { isChanged } } }`,
		"updateCustomers": `mutation { updateCustomers(input: {customers: [{customer: {openid: "QzMark"}, nickname: "QzMark 王", info: ["QzMark"], region: {city: "QzMark"}}]}) { results { isChanged } } }`,
	} {
		r.must(admin, mutation, nil, field, &made)
		if len(made.Results) != 1 || !made.Results[0].IsChanged {
			r.Fatalf("%s answers %+v", field, made.Results)
		}
	}
	const erase = `mutation { eraseCustomer(input: {customer: {openid: "QzMark"}}) { erasure { id } } }`
	r.must(admin, erase, nil, "eraseCustomer", &made)
	id := made.Erasure.ID

	var receipt struct {
		CustomerID, FinishedAt, MadeBy                  string
		MessageCount, ChangeCount, TagCount, AuditCount int
	}
	read := func() bool {
		return r.asked(admin, `query($id: ID!) { erasure(erasureId: $id) { customerId finishedAt madeBy messageCount changeCount tagCount auditCount } }`,
			map[string]any{"id": id}, "erasure", &receipt)
	}
	var met []int
	for n := range kills + 1 {
		if n > 0 {
			goal := n * erasedMessages / (kills + 2)
			r.await(fmt.Sprint(goal, " messages are blank"), func() bool { return read() && receipt.MessageCount >= goal })
		}
		if kills == 0 {
			break
		}
		r.killAll(func(db *sql.DB) {
			met = append(met, r.count(db, "SELECT COUNT(*) FROM message WHERE text = 'ERASED'"))
			r.exec(db, endSweepLeases)
		})
		r.must(admin, erase, nil, "eraseCustomer", &made)
		if made.Erasure.ID != id {
			r.Fatalf("erasing again answers erasure %s, not %s", made.Erasure.ID, id)
		}
	}
	r.await("the erasure is finished", func() bool { return read() && receipt.FinishedAt != "" })
	r.Logf("killed where %v messages were blank; the receipt is %+v", met, receipt)
	r.half(met, erasedMessages)
	r.stop()

	// The nickname and the info are changes, too, and the tag.
	if receipt.MessageCount != erasedMessages || receipt.ChangeCount != erasedChanges+3 || receipt.TagCount != 1 || receipt.AuditCount != 2 || receipt.MadeBy != "ADMIN:console" ||
		receipt.CustomerID != made.Customer.ID {
		wrong = append(wrong, fmt.Sprintf("the receipt is %+v", receipt))
	}
	r.opened(func(s *store.Store) {
		places := testkit.Holding(r, s, mark)
		slices.Sort(places)
		for _, place := range slices.Compact(slices.Clone(places)) {
			wrong = append(wrong, fmt.Sprintf("something of the person is left in %s", place))
		}
	})
	r.openedSQL(func(db *sql.DB) {
		for query, want := range map[string]int{
			"SELECT COUNT(*) FROM message":                                             erasedMessages + keptMessages,
			"SELECT COUNT(*) FROM message WHERE text = 'ERASED'":                       erasedMessages,
			"SELECT COUNT(*) FROM message WHERE text LIKE 'kept%' AND media_ref <> ''": keptMessages,
			"SELECT COUNT(*) FROM customer_change WHERE was = 'ERASED'":                erasedChanges + 3,
			"SELECT COUNT(*) FROM customer_tag":                                        0,
			"SELECT COUNT(*) FROM erasure":                                             1,
			"SELECT SUM(customer_count) FROM advisor":                                  0,
			"SELECT COUNT(*) FROM binding":                                             2,
			"SELECT COUNT(*) FROM stream s WHERE s.head <> (SELECT COUNT(*) FROM event e WHERE e.account_id = s.account_id AND e.stream_id = s.id)": 0,
		} {
			if got := r.count(db, query); got != want {
				wrong = append(wrong, fmt.Sprintf("%s: %d, not %d", query, got, want))
			}
		}
	})
	return wrong
}

// past writes what the person who is to be erased has said, and somebody else.
func (r *rig) past(s *store.Store, a *advisor) {
	r.Helper()
	const other = "other"
	var keys map[models.Ident]models.Key
	testkit.Write(r, s, a.account.Key, func(tx *store.Tx) (err error) {
		keys, err = tx.EnsureCustomers([]models.Ident{mark, other})
		return err
	})
	message := func(of models.Ident, text string, i int) *models.Message {
		m := &models.Message{
			AccountID: a.account.Key, Key: models.NewKey(), CustomerID: keys[of], AdvisorID: a.key, Direction: models.FromCustomer, Kind: models.ContentImage,
			Text: fmt.Sprint(text, " ", i), MediaRef: text, URL: "https://example.com/" + text, Detail: text, Status: models.StatusReceived, At: s.Now(), StatusAt: s.Now(), CreatedAt: s.Now(),
		}
		if i%2 == 0 {
			m.Direction, m.Status = models.FromAdvisor, models.StatusSent
		}
		return m
	}
	var messages []*models.Message
	var changes []*models.CustomerChange
	for i := range erasedMessages {
		messages = append(messages, message(mark, mark, i))
	}
	for i := range keptMessages {
		messages = append(messages, message(other, "kept", i))
	}
	for i := range erasedChanges {
		changes = append(changes, &models.CustomerChange{
			AccountID: a.account.Key, Key: models.NewKey(), CustomerID: keys[mark], Field: models.FieldNickname,
			Was: models.Lines{mark}, Became: models.Lines{fmt.Sprint(mark, i)}, By: "ADMIN:console", At: s.Now(),
		})
	}
	for some := range slices.Chunk(messages, limits.BatchRows) {
		testkit.Write(r, s, a.account.Key, func(tx *store.Tx) error { return tx.InsertMessages(some) })
	}
	for some := range slices.Chunk(changes, limits.BatchRows) {
		testkit.Write(r, s, a.account.Key, func(tx *store.Tx) error { return tx.InsertCustomerChanges(some) })
	}
}
