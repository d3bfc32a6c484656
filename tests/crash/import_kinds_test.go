package crash

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// The sizes of the other files that are killed: as many chunks as that of followers.
const (
	advisorRecords = 5 * limits.ImportAdvisors
	messageRecords = 5 * limits.ImportRecords
	groupMembers   = 150 // of each group that the advisors' file fills
	correspondents = 40  // who wrote the messages; each fourth has no advisor
)

// newAdvisorsFile makes a file of advisors with bad records among them, whom WeChat ids name, and who are put into groups.
func newAdvisorsFile() *importFile {
	groups := (advisorRecords + groupMembers - 1) / groupMembers
	f := &importFile{
		kind: models.ImportAdvisors, records: advisorRecords, facts: map[string]int{}, makes: "SELECT COUNT(*) FROM advisor WHERE wechat_id IS NOT NULL",
		asks: slices.Concat([]string{
			`SELECT 'advisor', wechat_id, nickname, state FROM advisor WHERE wechat_id IS NOT NULL`,
			`SELECT 'code', a.wechat_id FROM qr_code q JOIN advisor a ON a.account_id = q.account_id AND a.id = q.owner_id WHERE a.wechat_id IS NOT NULL`,
			`SELECT 'told', a.wechat_id, n.kind FROM notification n JOIN advisor a ON a.account_id = n.account_id AND a.id = n.advisor_id`,
			`SELECT 'member', a.wechat_id, g.name FROM group_member m JOIN advisor a ON a.account_id = m.account_id AND a.id = m.advisor_id
				JOIN advisor_group g ON g.account_id = m.account_id AND g.id = m.group_id`,
			`SELECT 'group', name, member_count FROM advisor_group`,
		}, jobFacts),
		begin: func(r *rig, admin string) {
			for g := range groups {
				r.must(admin, `mutation($n: String!) { createGroup(input: {name: $n}) { group { id } } }`, map[string]any{"n": fmt.Sprintf("g-%d", g)}, "createGroup", &struct{}{})
			}
		},
		there: func(r *rig, admin string, record int) bool {
			var a struct{ ID string }
			return r.asked(admin, `query($w: Identifier!) { advisor(by: {wechatId: $w}) { id } }`, map[string]any{"w": fmt.Sprintf("w-%d", record)}, "advisor", &a)
		},
	}
	var text strings.Builder
	text.WriteString("wechat_id,openid,nickname,groups\n")
	nicknames, members := map[string]string{}, map[string]int{}
	changed := 0
	for i := range advisorRecords {
		who, openid, nickname, group, why := fmt.Sprintf("w-%d", i), "", fmt.Sprintf("N%d", i), fmt.Sprintf("g-%d", i/groupMembers), ""
		switch kind := i % fifty; {
		case kind == badTag:
			group, why = "unknown", "groups NOT_FOUND"
		case kind == badAdvisor:
			openid, why = "nobody", " MUST_FOLLOW_ACCOUNT"
		case kind == badRecord:
			why = " INVALID"
		case kind == again:
			who, group = fmt.Sprintf("w-%d", i-1), ""
		case kind == againLater && i >= limits.ImportAdvisors:
			who, group = fmt.Sprintf("w-%d", i-againLater-limits.ImportAdvisors+fifty), ""
		}
		if why == " INVALID" {
			text.WriteString(who + ",too few\n")
		} else {
			fmt.Fprintf(&text, "%s,%s,%s,%s\n", who, openid, nickname, group)
		}
		if why != "" {
			f.facts[fmt.Sprintf("failed %d %s", i+1, why)]++
			continue
		}
		changed++
		nicknames[who] = nickname
		if group != "" {
			f.facts[fmt.Sprintf("member %s %s", who, group)]++
			members[group]++
		}
	}
	for who, nickname := range nicknames {
		f.facts[fmt.Sprintf("advisor %s %s PENDING", who, nickname)]++
		f.facts["code "+who]++
		f.facts[fmt.Sprintf("told %s ADVISOR_ADDED", who)]++
	}
	for group, n := range members {
		f.facts[fmt.Sprintf("group %s %d", group, n)]++
	}
	f.finish(text.String(), len(nicknames), changed, advisorRecords/limits.ImportAdvisors)
	return f
}

// newMessagesFile makes a file of past messages with bad records among them, and some that stand in it twice.
func newMessagesFile() *importFile {
	f := &importFile{
		kind: models.ImportMessages, records: messageRecords, facts: map[string]int{}, makes: "SELECT COUNT(*) FROM message",
		asks: slices.Concat([]string{
			`SELECT 'message', c.openid, m.direction, m.status, m.text FROM message m JOIN customer c ON c.account_id = m.account_id AND c.id = m.customer_id`,
			`SELECT 'last', c.openid, m.text, v.unread FROM conversation v JOIN customer c ON c.account_id = v.account_id AND c.id = v.customer_id
				JOIN message m ON m.account_id = v.account_id AND m.id = v.last_message_id`,
			`SELECT 'told', a.openid, COUNT(*) FROM event e JOIN advisor a ON a.account_id = e.account_id AND a.id = e.stream_id WHERE e.kind = 'CUSTOMERS_IMPORTED' GROUP BY a.openid`,
		}, jobFacts),
		prepare: importCorrespondents,
	}
	began := time.Now().Add(-2 * 24 * time.Hour).UTC()
	var text strings.Builder
	messages, last, told := 0, map[string]string{}, map[[2]int]bool{}
	for i := range messageRecords {
		id, who, advisor, direction, why := i, i%correspondents, "", "FROM_CUSTOMER", ""
		if i%2 == 1 {
			direction = "FROM_ADVISOR"
		}
		openid := fmt.Sprintf("p-%d", who)
		switch kind := i % fifty; {
		case kind == badTag:
			openid, why = "nobody", "openid NOT_FOUND"
		case kind == badAdvisor:
			advisor, why = "nobody", "advisor_openid NOT_FOUND"
		case kind == badRecord:
			why = " INVALID"
		case kind == again:
			id--
		case kind == againLater && i >= limits.ImportRecords:
			id += -againLater - limits.ImportRecords + fifty
		}
		if why == " INVALID" {
			text.WriteString("{\n")
		} else {
			fmt.Fprintf(&text, `{"id":"m-%d","openid":%q,"direction":%q,"at":%q,"text":"T%d","advisor_openid":%q}`+"\n",
				id, openid, direction, began.Add(time.Duration(i)*time.Second).Format(time.DateTime), i, advisor)
		}
		switch {
		case why != "":
			f.facts[fmt.Sprintf("failed %d %s", i+1, why)]++
		case id == i:
			messages++
			f.facts[fmt.Sprintf("message %s %s IMPORTED T%d", openid, direction, i)]++
			last[openid] = fmt.Sprintf("T%d", i)
			if a := who % (importAdvisors + 1); a < importAdvisors {
				told[[2]int{a, i / limits.ImportRecords}] = true
			}
		}
	}
	for openid, text := range last {
		f.facts[fmt.Sprintf("last %s %s 0", openid, text)]++
	}
	chunks := map[int]int{}
	for of := range told {
		chunks[of[0]]++
	}
	for advisor, n := range chunks {
		f.facts[fmt.Sprintf("told member-%d %d", advisor, n)]++
	}
	f.finish(text.String(), messages, messages, messageRecords/limits.ImportRecords)
	return f
}

// importCorrespondents makes advisors, and customers of theirs and of nobody.
func importCorrespondents(r *rig, s *store.Store) {
	advisors := importMembers(r, s)
	account := r.accounts[0].Key
	var openids []models.Ident
	for i := range correspondents {
		openids = append(openids, models.Ident(fmt.Sprint("p-", i)))
	}
	testkit.Write(r, s, account, func(tx *store.Tx) error {
		byOpenID, err := tx.EnsureCustomers(openids)
		if err != nil {
			return err
		}
		rows, conversations, err := tx.LockCustomers(slices.Collect(maps.Values(byOpenID)))
		if err != nil {
			return err
		}
		for i, c := range rows {
			var n int
			if _, err := fmt.Sscanf(string(c.OpenID), "p-%d", &n); err != nil {
				return err
			}
			c.FollowState, c.FollowedAt = models.Following, tx.Now
			if a := n % (importAdvisors + 1); a < importAdvisors {
				c.AdvisorID, conversations[i].AdvisorID = advisors[a].Key, advisors[a].Key
			}
		}
		if err := tx.UpdateCustomers(rows, "follow_state", "followed_at", "advisor_id"); err != nil {
			return err
		}
		return tx.UpdateConversations(conversations)
	})
}

// jobFacts are what every import says of its job and its events.
var jobFacts = []string{
	`SELECT 'failed', no, field, code FROM job_item`,
	`SELECT 'job', state, total, done, changed FROM job`,
	`SELECT 'events', kind, COUNT(*) FROM event WHERE kind LIKE 'JOB%' GROUP BY kind`,
	`SELECT 'hole', s.head FROM stream s WHERE s.head <> (SELECT COUNT(*) FROM event e WHERE e.account_id = s.account_id AND e.stream_id = s.id)`,
}

// finish says what a file's job must have come to.
func (f *importFile) finish(text string, made, changed, chunks int) {
	f.text, f.made = text, made
	f.facts[fmt.Sprintf("job FINISHED %d %d %d", f.records, f.records, changed)]++
	f.facts[fmt.Sprintf("events JOB_CHANGED %d", chunks+1)]++ // it is told, begins, and goes on
	f.facts["events JOB_ENDED 1"]++
}
