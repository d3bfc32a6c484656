package store_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"clientele/internal/relay"
	"clientele/internal/testkit"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// Ensure the pages of each filter hold exactly the customers that the filter means, each once and in
// order, whether they stand close together or far apart; that a page looks at no more than
// limits.PageScan customers; and that a job with the filter comes to the same customers.
func TestCustomerPagesOfFilters(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisor := testkit.Advisors(t, s, account, 1)[0]
		other := testkit.Account(t, s)
		const n, many = limits.PageScan + 1_007, 5_000
		const long = 1_000_000 // an instant later than those that numbers stand for
		mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, folded, follow_state, country, province, created_at, advisor_id, bound_at, bound_source, bound_label)
			SELECT ?, %s, %s, CASE WHEN n %% 40 = 0 THEN '王小明' WHEN n %% 9 = 0 THEN '小王' END, CASE WHEN n %% 2 = 0 THEN 'FOLLOWING' ELSE 'UNFOLLOWED' END, 'China', CASE WHEN n %% 3 = 0 THEN 'Hubei' ELSE '' END, 1,
			CASE WHEN n %% 100 = 0 THEN ? END, CASE WHEN n %% 100 = 0 THEN n ELSE 0 END, CASE WHEN n %% 300 = 0 THEN 'API' ELSE 'CONSOLE' END,
			CASE WHEN n %% 700 = 0 THEN 'spring' ELSE '' END
			FROM (%s) numbers`, keyOfNumber(s), openidOfNumber(s), numbersBelow(n)), account.Key, advisor.Key)
		mustExec(t, s, fmt.Sprintf(`INSERT INTO conversation (account_id, customer_id, advisor_id, active_at, last_interaction_at, last_customer_at, last_advisor_at)
			SELECT ?, %s, CASE WHEN n %% 100 = 0 THEN ? END, n, n, n %% 5, 2 FROM (%s) numbers`, keyOfNumber(s), numbersBelow(n)), account.Key, advisor.Key)
		for _, gram := range []struct {
			text string
			of   string
		}{
			{"王", "n % 40 = 0 OR n % 9 = 0"},
			{"小", "n % 40 = 0 OR n % 9 = 0"},
			{"明", "n % 40 = 0"},
			{"王小", "n % 40 = 0"},
			{"小明", "n % 40 = 0"},
			{"小王", "n % 9 = 0 AND n % 40 <> 0"},
		} {
			mustExec(t, s, fmt.Sprintf("INSERT INTO customer_gram (account_id, gram, customer_id) SELECT ?, ?, %s FROM (%s) numbers WHERE %s",
				keyOfNumber(s), numbersBelow(n), gram.of), account.Key, []byte(gram.text))
		}
		mustExec(t, s, "INSERT INTO customer_gram (account_id, gram, customer_id) SELECT ?, ?, id FROM customer WHERE account_id = ?", other.Key, []byte("小"), account.Key)
		x, y, z := models.NewKey(), models.NewKey(), models.NewKey()
		for _, tag := range []struct {
			option models.Key
			every  int
		}{{x, 50}, {y, 70}, {z, 9_000}} {
			mustExec(t, s, fmt.Sprintf("INSERT INTO customer_tag (account_id, customer_id, option_id) SELECT ?, %s, ? FROM (%s) numbers WHERE n %% %d = 0",
				keyOfNumber(s), numbersBelow(n), tag.every), account.Key, tag.option)
		}
		group := models.NewKey()
		mustExec(t, s, "INSERT INTO group_member (account_id, group_id, advisor_id) VALUES (?, ?, ?)", account.Key, group, advisor.Key)
		mustExec(t, s, "UPDATE customer SET unionid = ? WHERE account_id = ? AND openid IN (?, ?)", []byte("u"), account.Key, []byte("0000000000000007"), []byte("0000000000000300"))
		// Customers of another account with the same keys have a tag.
		mustExec(t, s, "INSERT INTO customer_tag (account_id, customer_id, option_id) SELECT ?, id, ? FROM customer WHERE account_id = ?", other.Key, x, account.Key)
		yes, no := true, false
		bound := func(n int) bool { return n%100 == 0 }
		for name, tt := range map[string]struct {
			filter store.CustomerFilter
			is     func(n int) bool
			// uncounted: n customers are more than a count may look at.
			uncounted bool
		}{
			"nothing":                   {store.CustomerFilter{}, func(int) bool { return true }, false},
			"assigned":                  {store.CustomerFilter{Assigned: &yes}, bound, false},
			"unassigned":                {store.CustomerFilter{Assigned: &no}, func(n int) bool { return !bound(n) }, false},
			"one tag":                   {store.CustomerFilter{Tags: store.TagFilter{Any: []models.Key{x}}}, func(n int) bool { return n%50 == 0 }, false},
			"any tag":                   {store.CustomerFilter{Tags: store.TagFilter{Any: []models.Key{x, y}}}, func(n int) bool { return n%50 == 0 || n%70 == 0 }, false},
			"all tags":                  {store.CustomerFilter{Tags: store.TagFilter{All: []models.Key{x, y}}}, func(n int) bool { return n%350 == 0 }, false},
			"a rare tag":                {store.CustomerFilter{Tags: store.TagFilter{All: []models.Key{z}}}, func(n int) bool { return n%9_000 == 0 }, false},
			"no tag":                    {store.CustomerFilter{Tags: store.TagFilter{None: []models.Key{x, y}}}, func(n int) bool { return n%50 != 0 && n%70 != 0 }, true},
			"tags together":             {store.CustomerFilter{Tags: store.TagFilter{Any: []models.Key{y, z}, None: []models.Key{x}}}, func(n int) bool { return (n%70 == 0 || n%9_000 == 0) && n%50 != 0 }, false},
			"unassigned with a tag":     {store.CustomerFilter{Assigned: &no, Tags: store.TagFilter{Any: []models.Key{x}}}, func(n int) bool { return n%50 == 0 && !bound(n) }, false},
			"of one advisor with a tag": {store.CustomerFilter{Advisor: advisor.Key, Tags: store.TagFilter{Any: []models.Key{y}}}, func(n int) bool { return bound(n) && n%70 == 0 }, false},
			"of a group":                {store.CustomerFilter{Group: group}, bound, false},
			"of a group, and more":      {store.CustomerFilter{Group: group, Source: models.SourceAPI}, func(n int) bool { return n%300 == 0 }, false},
			"of another group":          {store.CustomerFilter{Group: models.NewKey()}, func(int) bool { return false }, false},
			"openids":                   {store.CustomerFilter{OpenIDs: []models.Ident{"0000000000000007", "0000000000021000", "x"}}, func(n int) bool { return n == 7 || n == 21_000 }, false},
			"a unionid of two":          {store.CustomerFilter{UnionIDs: []models.Ident{"u", "v"}}, func(n int) bool { return n == 7 || n == 300 }, false},
			"openids and bound":         {store.CustomerFilter{Assigned: &yes, OpenIDs: []models.Ident{"0000000000000007", "0000000000021000"}}, func(n int) bool { return n == 21_000 }, false},
			"search":                    {store.CustomerFilter{Search: "小明"}, func(n int) bool { return n%40 == 0 }, false},
			"search for one character":  {store.CustomerFilter{Search: "王"}, func(n int) bool { return n%40 == 0 || n%9 == 0 }, false},
			"search for what none has":  {store.CustomerFilter{Search: "明王"}, func(int) bool { return false }, false},
			"search for a letter":       {store.CustomerFilter{Search: "x"}, func(int) bool { return false }, true},
			"search among unassigned":   {store.CustomerFilter{Search: "小王", Assigned: &no}, func(n int) bool { return n%9 == 0 && n%40 != 0 && !bound(n) }, false},
			"search with a tag":         {store.CustomerFilter{Search: "王小明", Tags: store.TagFilter{All: []models.Key{x}}}, func(n int) bool { return n%200 == 0 }, false},
			"search of one advisor":     {store.CustomerFilter{Search: "王小", Advisor: advisor.Key}, func(n int) bool { return bound(n) && n%40 == 0 }, false},
			"source":                    {store.CustomerFilter{Source: models.SourceAPI}, func(n int) bool { return n%300 == 0 }, true},
			"a label":                   {store.CustomerFilter{Label: "spring"}, func(n int) bool { return n%700 == 0 }, false},
			"a label of no customer":    {store.CustomerFilter{Label: "Spring"}, func(int) bool { return false }, false},
			"a label and more":          {store.CustomerFilter{Label: "spring", Region: models.Region{Province: "Hubei"}}, func(n int) bool { return n%2_100 == 0 }, false},
			"a label with a tag":        {store.CustomerFilter{Label: "spring", Tags: store.TagFilter{Any: []models.Key{x}}}, func(n int) bool { return n%700 == 0 }, false},
			"of one advisor by a label": {store.CustomerFilter{Advisor: advisor.Key, Label: "spring"}, func(n int) bool { return n%700 == 0 }, false},
			"bound between":             {store.CustomerFilter{BoundFrom: 300, BoundUntil: 500}, func(n int) bool { return n == 300 || n == 400 }, true},
			"bound before":              {store.CustomerFilter{BoundUntil: 500}, func(n int) bool { return bound(n) && n < 500 }, true},
			"region":                    {store.CustomerFilter{Region: models.Region{Country: "China", Province: "Hubei"}}, func(n int) bool { return n%3 == 0 }, true},
			"elsewhere":                 {store.CustomerFilter{Region: models.Region{City: "Hubei"}}, func(int) bool { return false }, true},
			"following":                 {store.CustomerFilter{FollowState: models.Following}, func(n int) bool { return n%2 == 0 }, true},
			"interacted":                {store.CustomerFilter{Interacted: &yes, InteractedSince: 15}, func(n int) bool { return n >= 15 }, true},
			"not interacted":            {store.CustomerFilter{Interacted: &no, InteractedSince: 15}, func(n int) bool { return n < 15 }, true},
			"replied":                   {store.CustomerFilter{Replied: &yes}, func(n int) bool { return n%5 > 2 }, true},
			"not replied":               {store.CustomerFilter{Replied: &no, FollowState: models.Following}, func(n int) bool { return n%5 <= 2 && n%2 == 0 }, true},
		} {
			var want []int
			for i := n - 1; i >= 0; i-- {
				if tt.is(i) {
					want = append(want, i)
				}
			}
			orders := []models.CustomerOrder{models.OrderNewest, models.OrderOldest}
			if !tt.filter.Advisor.IsZero() {
				orders = []models.CustomerOrder{models.OrderLatestBound, models.OrderEarliestBound, models.OrderLatestActive}
			}
			for _, order := range orders {
				var got []int
				page := relay.Page{First: many}
				looks := 0
				for more := true; more; looks++ {
					rows, end, err := s.View(t.Context()).CustomerPage(account.Key, tt.filter, order, page)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if more = len(rows) > page.First; more {
						rows = rows[:page.First]
					}
					for _, c := range rows {
						got = append(got, numberOf(t, c.Key))
						page.After = &relay.Keyset{Sort: int64(order.Place(c)), Key: c.Key}
					}
					if end != nil {
						more, page.After = true, end
					}
				}
				if order == models.OrderOldest || order == models.OrderEarliestBound {
					slices.Reverse(got)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %s: %d customers, want %d; %v …, want %v …", name, order, len(got), len(want), got[:min(10, len(got))], want[:min(10, len(want))])
				}
				if most := len(want)/page.First + n/limits.PageScan + 2; looks > most {
					t.Errorf("%s, %s: %d pages, at most %d can be needed", name, order, looks, most)
				}
			}
			for _, most := range []int{limits.CustomerCount, len(want), max(len(want)-1, 0)} {
				count, known, err := s.View(t.Context()).CountPages(account.Key, tt.filter, most)
				if err != nil || known == tt.uncounted || known && count != min(most, len(want)) {
					t.Errorf("%s: %d are counted up to %d, want %d; %t, %v", name, count, most, len(want), known, err)
				}
			}
			seen := 0
			for at, last := (store.Selection{}), false; !last; {
				var keys []models.Key
				var err error
				if keys, at, last, err = s.View(t.Context()).SelectCustomers(account.Key, tt.filter, long, at, many); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				for _, k := range keys {
					if !tt.is(numberOf(t, k)) {
						t.Errorf("%s: a job comes to %d", name, numberOf(t, k))
					}
				}
				seen += len(keys)
			}
			if seen != len(want) {
				t.Errorf("%s: a job comes to %d customers, want %d", name, seen, len(want))
			}
		}
	})
}

// numberOf is the number that keyOfNumber made a key of.
func numberOf(t *testing.T, k models.Key) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(string(k[:]), "%d", &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Ensure no filter makes a page of customers read more of the database than the limit allows, however
// many customers the account has and however few the filter selects, on the first page and in the middle;
// and that what has an index reads no more than the page needs (rule E9).
func TestCustomerPagesReadLittle(t *testing.T) {
	s := testkit.Store(t, testkit.MySQL(t), nil)
	account := testkit.Account(t, s)
	advisor := testkit.Advisors(t, s, account, 1)[0]
	const n, bound = 70_000, 10_000
	mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, unionid, follow_state, created_at, advisor_id, bound_at, bound_label)
		SELECT ?, %s, %s, %s, 'FOLLOWING', 1, CASE WHEN n < %d THEN ? END, CASE WHEN n < %d THEN n + 1 ELSE 0 END, CASE WHEN n < 10 THEN 'rare' WHEN n < %d THEN 'common' ELSE '' END FROM (%s) numbers`,
		keyOfNumber(s), openidOfNumber(s), openidOfNumber(s), bound, bound, bound, numbersBelow(n)), account.Key, advisor.Key)
	mustExec(t, s, fmt.Sprintf(`INSERT INTO conversation (account_id, customer_id, advisor_id, active_at) SELECT ?, %s, CASE WHEN n < %d THEN ? END, n FROM (%s) numbers`,
		keyOfNumber(s), bound, numbersBelow(n)), account.Key, advisor.Key)
	common, rare, never := models.NewKey(), models.NewKey(), models.NewKey()
	mustExec(t, s, fmt.Sprintf("INSERT INTO customer_tag (account_id, customer_id, option_id) SELECT ?, %s, ? FROM (%s) numbers", keyOfNumber(s), numbersBelow(n)), account.Key, common)
	mustExec(t, s, fmt.Sprintf("INSERT INTO customer_tag (account_id, customer_id, option_id) SELECT ?, %s, ? FROM (%s) numbers WHERE n < 10", keyOfNumber(s), numbersBelow(n)), account.Key, rare)
	for _, gram := range []struct {
		text  string
		below int
	}{{"小", n}, {"王", n}, {"小王", n}, {"王朋", 10}, {"朋", 10}} {
		mustExec(t, s, fmt.Sprintf("INSERT INTO customer_gram (account_id, gram, customer_id) SELECT ?, ?, %s FROM (%s) numbers WHERE n < %d",
			keyOfNumber(s), numbersBelow(n), gram.below), account.Key, []byte(gram.text))
	}
	mustExec(t, s, "UPDATE customer SET folded = '小王'")
	mustExec(t, s, "UPDATE customer SET folded = '小王朋' WHERE openid < ?", []byte("0000000000000010"))
	mustExec(t, s, "ANALYZE TABLE customer, conversation, customer_tag, customer_gram")
	yes, no := true, false
	group := models.NewKey()
	mustExec(t, s, "INSERT INTO group_member (account_id, group_id, advisor_id) VALUES (?, ?, ?)", account.Key, group, advisor.Key)
	fifty := []models.Key{common, rare, never}
	for len(fifty) < 50 {
		fifty = append(fifty, models.NewKey())
	}
	const (
		first = 50
		page  = 8*first + 100           // what a page needs, with the last interaction of each, and the asking
		look  = 4*limits.PageScan + 500 // the end of the look, and of each customer the row and what the condition reads
		own   = 4*bound + 500
	)
	middle := relay.Keyset{Sort: bound / 2, Key: keyNumbered(5 * n / 10)}
	for name, tt := range map[string]struct {
		filter store.CustomerFilter
		most   int64
	}{
		"all":                          {store.CustomerFilter{}, page},
		"of one advisor":               {store.CustomerFilter{Advisor: advisor.Key}, page},
		"a common tag":                 {store.CustomerFilter{Tags: store.TagFilter{Any: []models.Key{common}}}, page},
		"a rare tag":                   {store.CustomerFilter{Tags: store.TagFilter{All: []models.Key{rare}}}, page},
		"no customer's tag":            {store.CustomerFilter{Tags: store.TagFilter{All: []models.Key{never, common}}}, page},
		"a common tag and a rare":      {store.CustomerFilter{Tags: store.TagFilter{All: []models.Key{common, rare}}}, look},
		"one of two rare tags":         {store.CustomerFilter{Tags: store.TagFilter{Any: []models.Key{rare, never}}}, page},
		"one of two tags":              {store.CustomerFilter{Tags: store.TagFilter{Any: []models.Key{rare, common}}}, page + 150},
		"one of fifty tags":            {store.CustomerFilter{Tags: store.TagFilter{Any: fifty}}, 50*3*(first+1) + page},
		"one of two tags, and more":    {store.CustomerFilter{Tags: store.TagFilter{Any: []models.Key{rare, common}}, FollowState: models.Unfollowed}, look},
		"search, common":               {store.CustomerFilter{Search: "小王"}, look + 8*limits.GramLook},
		"search, rare":                 {store.CustomerFilter{Search: "小王朋"}, page + 8*limits.GramLook},
		"search, of one advisor":       {store.CustomerFilter{Search: "王朋友", Advisor: advisor.Key}, own},
		"openids":                      {store.CustomerFilter{OpenIDs: []models.Ident{"0000000000000007", "0000000000060007"}}, page},
		"unionids":                     {store.CustomerFilter{UnionIDs: []models.Ident{"0000000000000007", "0000000000060007"}}, page},
		"assigned":                     {store.CustomerFilter{Assigned: &yes}, look},
		"unassigned":                   {store.CustomerFilter{Assigned: &no}, page + limits.PageScan},
		"a source that none has":       {store.CustomerFilter{Source: models.SourceWechatAd}, look},
		"a common label":               {store.CustomerFilter{Label: "common"}, page},
		"a rare label":                 {store.CustomerFilter{Label: "rare"}, page},
		"no customer's label":          {store.CustomerFilter{Label: "never"}, page},
		"a label of who left":          {store.CustomerFilter{Label: "common", FollowState: models.Unfollowed}, look},
		"bound before anybody was":     {store.CustomerFilter{BoundUntil: 1}, look},
		"a region where none lives":    {store.CustomerFilter{Region: models.Region{City: "Wuhan"}}, look},
		"unfollowed":                   {store.CustomerFilter{FollowState: models.Unfollowed}, look},
		"interacted":                   {store.CustomerFilter{Interacted: &yes, InteractedSince: 1}, look},
		"replied":                      {store.CustomerFilter{Replied: &yes}, look},
		"of an empty group":            {store.CustomerFilter{Group: models.NewKey()}, page},
		"of a group":                   {store.CustomerFilter{Group: group}, own + page},
		"of one advisor, rare tag":     {store.CustomerFilter{Advisor: advisor.Key, Tags: store.TagFilter{All: []models.Key{rare}}}, own},
		"of one advisor, never a tag":  {store.CustomerFilter{Advisor: advisor.Key, Tags: store.TagFilter{Any: []models.Key{never, rare}}}, own},
		"of one advisor, who answered": {store.CustomerFilter{Advisor: advisor.Key, Replied: &yes}, own},
	} {
		orders := []models.CustomerOrder{models.OrderNewest, models.OrderOldest}
		if !tt.filter.Advisor.IsZero() {
			orders = []models.CustomerOrder{models.OrderLatestBound, models.OrderEarliestBound, models.OrderLatestActive}
		}
		for i, after := range slices.Repeat([]*relay.Keyset{nil, &middle}, len(orders)) {
			order := orders[i/2]
			where := fmt.Sprint(order, " ", []string{"first", "middle"}[i%2])
			read, err := s.RowsRead(t.Context(), func(ctx context.Context) {
				if _, _, err := s.View(ctx).CustomerPage(account.Key, tt.filter, order, relay.Page{First: first, After: after}); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			if read > tt.most {
				t.Errorf("%s: the %s page reads %d rows, at most %d", name, where, read, tt.most)
			}
			t.Logf("%s: the %s page reads %d rows", name, where, read)
		}
	}
}

// Ensure the customers of a group whose members have no more than a page may look at come in full pages and are counted, wherever they stand among
// the account's, and that of a group with one more, a page looks at as many as any page does (rule E9).
func TestCustomerPagesOfGroups(t *testing.T) {
	testkit.Engines(t, func(t *testing.T, dsn string) {
		s := testkit.Store(t, dsn, nil)
		account := testkit.Account(t, s)
		advisors := testkit.Advisors(t, s, account, 3)
		const n, few = 2*limits.PageScan + 100, 70
		// Of the first all but few are the first advisor's, those few the second's, and the last ones the third's; in the middle are nobody's.
		mustExec(t, s, fmt.Sprintf(`INSERT INTO customer (account_id, id, openid, follow_state, created_at, advisor_id, bound_at)
			SELECT ?, %s, %s, 'FOLLOWING', 1, CASE WHEN n < %d THEN ? WHEN n < %d THEN ? WHEN n >= %d THEN ? END, CASE WHEN n < %d OR n >= %d THEN n + 1 ELSE 0 END FROM (%s) numbers`,
			keyOfNumber(s), openidOfNumber(s), limits.PageScan-few, limits.PageScan, n-1, limits.PageScan, n-1, numbersBelow(n)), account.Key, advisors[0].Key, advisors[1].Key, advisors[2].Key)
		mustExec(t, s, fmt.Sprintf("INSERT INTO conversation (account_id, customer_id, active_at) SELECT ?, %s, n FROM (%s) numbers", keyOfNumber(s), numbersBelow(n)), account.Key)
		group := func(members ...*models.Advisor) models.Key {
			key := models.NewKey()
			for _, a := range members {
				mustExec(t, s, "INSERT INTO group_member (account_id, group_id, advisor_id) VALUES (?, ?, ?)", account.Key, key, a.Key)
			}
			return key
		}
		for _, tt := range []struct {
			name   string
			group  models.Key
			has    int
			looked bool // through all customers of the account
		}{
			{"few", group(advisors[1]), few, false},
			{"as many as may be", group(advisors[0], advisors[1]), limits.PageScan, false},
			{"one more", group(advisors...), limits.PageScan + 1, true},
			{"nobody", group(), 0, false},
		} {
			f := store.CustomerFilter{Group: tt.group}
			rows, end, err := s.View(t.Context()).CustomerPage(account.Key, f, models.OrderNewest, relay.Page{First: 50})
			want := min(tt.has, 51) // one more than was asked for
			if tt.looked {
				want = 1 // only the third advisor's is among the last
			}
			if err != nil || len(rows) != want || (end != nil) != tt.looked {
				t.Errorf("%s: a page of %d, ends %v, %v", tt.name, len(rows), end, err)
			}
			count, known, err := s.View(t.Context()).CountPages(account.Key, f, n)
			if err != nil || known == tt.looked || known && count != tt.has {
				t.Errorf("%s: %d are counted, %t, %v", tt.name, count, known, err)
			}
			got := 0
			for page, more := (relay.Page{First: 15_000}), true; more; {
				rows, end, err := s.View(t.Context()).CustomerPage(account.Key, f, models.OrderOldest, page)
				if err != nil {
					t.Fatal(err)
				}
				if more = len(rows) > page.First; more {
					rows = rows[:page.First]
				}
				for _, c := range rows {
					page.After = &relay.Keyset{Key: c.Key}
				}
				got += len(rows)
				if end != nil {
					more, page.After = true, end
				}
			}
			if got != tt.has {
				t.Errorf("%s: %d come in all pages", tt.name, got)
			}
		}
	})
}

// keyNumbered is the key that keyOfNumber makes of a number.
func keyNumbered(n int) (k models.Key) {
	copy(k[:], fmt.Sprintf("%016d", n))
	return k
}
