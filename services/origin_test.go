package services

import (
	"context"
	"fmt"
	"testing"
	"time"

	"clientele/internal/testkit"
	"clientele/models"
	"clientele/store"
)

// silent is a channel with a directory that nobody asks.
type silent struct{ Channel }

func (silent) Followers(context.Context, *models.Account, models.Ident) (FollowersPage, error) {
	return FollowersPage{}, nil
}

func (silent) FollowersInfo(context.Context, *models.Account, []models.Ident) ([]FollowerInfo, error) {
	return nil, nil
}

// Ensure a batch of follows of whom the platform is to be asked, and one of what it said, takes as many statements whether it is about one follower or a hundred,
// whatever becomes of them (rule E3).
func TestStatementsOfOrigins(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		h := newTeahouse(t, dsn, 5, 2)
		h.channels = map[models.ChannelKind]Channel{models.ChannelSandbox: silent{}}
		group := &models.Group{AccountID: h.account.Key, Key: models.NewKey(), Name: "ads", CreatedAt: h.Now()}
		testkit.Write(t, h.store, h.account.Key, func(tx *store.Tx) error {
			a, err := tx.LockAccount()
			if err != nil {
				return err
			}
			a.SealedAppSecret, a.AdGroup, a.AutoAssign = []byte("sealed"), group.Key, true
			if err := tx.UpdateAccount(a, "sealed_app_secret", "ad_group_id", "auto_assign"); err != nil {
				return err
			}
			if err := tx.InsertGroup(group); err != nil {
				return err
			}
			return tx.InsertMembers([]*models.Group{group}, []*models.GroupMember{{AccountID: tx.Account, GroupID: group.Key, AdvisorID: h.advisors[0].Key, CreatedAt: tx.Now}})
		})
		follows := func(from, n int) []*inboundItem {
			items := make([]*inboundItem, n)
			for i := range items {
				openid := fmt.Sprintf("f%d", from+i)
				items[i] = &inboundItem{account: h.account.Key, done: make(chan struct{}), in: models.Inbound{Kind: models.InboundFollow, OpenID: openid, DedupKey: openid, At: h.Now()}}
			}
			return items
		}
		answers := func() []*inboundItem {
			waiting, openids, err := h.waitingOrigins(t.Context(), h.account.Key)
			if err != nil {
				t.Fatal(err)
			}
			infos := map[models.Ident]FollowerInfo{}
			for i, w := range waiting {
				openid := openids[w.CustomerID]
				infos[openid] = FollowerInfo{OpenID: openid, UnionID: "u-" + openid, Follows: true, Advertised: i%2 == 0, FollowedAt: w.FollowedAt}
			}
			var items []*inboundItem
			for _, w := range waiting {
				items = append(items, &inboundItem{account: h.account.Key, done: make(chan struct{}), origin: originOf(w, openids, infos, nil, h.Now())})
			}
			return items
		}
		followed, answered := h.statements(t, follows(0, 1)), h.statements(t, answers())
		manyFollowed, manyAnswered := h.statements(t, follows(1, 100)), h.statements(t, answers())
		// Whom auto-assign takes costs as much as an advertisement; more than one conversation, advisor or event is still one statement.
		if manyFollowed > followed || manyAnswered > answered+2 {
			t.Errorf("100 follows take %d statements, one %d; 100 answers %d, one %d", manyFollowed, followed, manyAnswered, answered)
		}
		for what, query := range map[string]string{
			"followers without an advisor": "SELECT COUNT(*) FROM customer WHERE advisor_id IS NULL",
			"followers without a unionid":  "SELECT COUNT(*) - 2 FROM customer WHERE unionid IS NULL",
			"rows that wait":               "SELECT COUNT(*) FROM follow_waiting",
		} {
			var n int
			db, err := h.store.SQL()
			if err == nil {
				err = db.QueryRowContext(t.Context(), query).Scan(&n)
			}
			if err != nil || n != 0 {
				t.Errorf("%d %s, %v", n, what, err)
			}
		}
	})
}

// Ensure what is settled of a follower who waits follows from what the platform said, or how long it has said nothing.
func TestOriginOf(t *testing.T) {
	const since = models.Time(1_000_000_000_000)
	who := models.NewKey()
	openids := map[models.Key]models.Ident{who: "wei"}
	infos := map[models.Ident]FollowerInfo{"wei": {OpenID: "wei", Follows: true}}
	for _, tt := range []struct {
		name    string
		decides bool
		openids map[models.Key]models.Ident
		failed  error
		after   time.Duration
		want    string
	}{
		{"answered", true, openids, nil, 0, "over, follows true"},
		{"answered, of the unionid alone", false, openids, nil, 0, "over, follows true"},
		{"erased", true, nil, errAway, 0, "over, follows false"},
		{"no answer", true, openids, errAway, 10*time.Minute - 1, "waits"},
		{"no answer for long", true, openids, errAway, 10 * time.Minute, "settled, follows false"},
		{"no answer, and nothing waits", false, openids, errAway, time.Hour, "waits"},
		{"no answer for days", false, openids, errAway, 3 * 24 * time.Hour, "over, follows false"},
		{"nobody to ask", true, openids, ErrNoSecret, 0, "settled, follows false"},
		{"nobody to ask, and nothing waits", false, openids, errCannotAsk, 0, "waits"},
	} {
		w := &models.WaitingFollow{CustomerID: who, FollowedAt: since, Decides: tt.decides, Since: since}
		told := infos
		if tt.failed != nil {
			told = nil
		}
		o := originOf(w, tt.openids, told, tt.failed, since.Add(tt.after.Truncate(time.Microsecond)))
		got := "waits"
		if o != nil {
			got = fmt.Sprintf("%s, follows %v", map[bool]string{true: "over", false: "settled"}[o.over], o.info.Follows)
		}
		if got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
