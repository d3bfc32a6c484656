package inbox

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // the floor's driver is the product's

	"clientele/bench/rig"
	"clientele/internal/relay"
	"clientele/models"
)

// What the floor's process is told in its environment.
const (
	floorEnv   = "CLIENTELE_BENCH_DSN"
	accountEnv = "CLIENTELE_BENCH_ACCOUNT"
)

// serveFloor is the process of the floors.
func serveFloor(ctx context.Context) error {
	account, ok := models.ParseKey(os.Getenv(accountEnv))
	if !ok {
		return errors.New("no account is named")
	}
	dsn := os.Getenv(floorEnv) + "?interpolateParams=true&collation=utf8mb4_bin"
	db, err := sql.Open("mysql", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	const connections = 32 // as many as the product's
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	f := &handwritten{db: db, account: account}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /sql", f.sql)
	mux.HandleFunc("GET /memory", f.memory)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	hs := &http.Server{Handler: mux}
	context.AfterFunc(ctx, func() { _ = hs.Close() })
	rig.Ready(l.Addr().String())
	if err := hs.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// handwritten answers the inbox page with four statements and encoding/json.
type handwritten struct {
	db      *sql.DB
	account models.Key
}

// The page as it is answered.
type (
	answer struct {
		Data struct {
			Inbox inbox `json:"inbox"`
		} `json:"data"`
	}
	inbox struct {
		Nodes    []*line  `json:"nodes"`
		PageInfo pageInfo `json:"pageInfo"`
	}
	pageInfo struct {
		HasNextPage bool    `json:"hasNextPage"`
		EndCursor   *string `json:"endCursor"`
	}
	line struct {
		ID             string         `json:"id"`
		ActiveAt       *instant       `json:"activeAt"`
		UnreadCount    int            `json:"unreadCount"`
		HasReplied     bool           `json:"hasReplied"`
		Customer       customer       `json:"customer"`
		LastMessage    *message       `json:"lastMessage"`
		Contactability contactability `json:"contactability"`
	}
	customer struct {
		ID                string   `json:"id"`
		Nickname          *string  `json:"nickname"`
		FollowState       string   `json:"followState"`
		LastInteractionAt *instant `json:"lastInteractionAt"`
	}
	message struct {
		ID        string   `json:"id"`
		Direction string   `json:"direction"`
		Status    string   `json:"status"`
		SentAt    *instant `json:"sentAt"`
		Content   content  `json:"content"`
	}
	content struct {
		Type string `json:"__typename"`
		Text string `json:"text"`
	}
	contactability struct {
		Answer       string   `json:"answer"`
		Reason       *string  `json:"reason"`
		Left         int      `json:"left"`
		Until        *instant `json:"until"`
		OutreachLeft int      `json:"outreachLeft"`
		AgainAt      *instant `json:"againAt"`
	}
)

// instant is a time as the product writes it.
type instant models.Time

// MarshalJSON implements json.Marshaler.
func (t instant) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, len("2006-01-02T15:04:05.000000Z")+2)
	return append(models.Time(t).Go().AppendFormat(append(b, '"'), "2006-01-02T15:04:05.000000Z07:00"), '"'), nil
}

func at(t models.Time) *instant {
	if t.IsZero() {
		return nil
	}
	i := instant(t)
	return &i
}

// page is the rows of a page.
type page struct {
	account       *models.Account
	policy        *models.Policy // of the account
	advisor       models.Key
	more          bool
	conversations []*models.Conversation
	customers     map[models.Key]*models.Customer
	messages      map[models.Key]*models.Message
}

func (f *handwritten) sql(w http.ResponseWriter, r *http.Request) {
	p, err := f.read(r.Context(), r.URL.Query().Get("openid"), r.URL.Query().Get("first"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(p.answer(models.At(time.Now()))) // the load sees what is missing.
}

// read asks the four statements.
func (f *handwritten) read(ctx context.Context, openid, size string) (*page, error) {
	first, err := strconv.Atoi(size)
	if err != nil {
		return nil, err
	}
	p := &page{account: &models.Account{Key: f.account}, customers: make(map[models.Key]*models.Customer, first), messages: make(map[models.Key]*models.Message, first)}
	var state string
	err = f.db.QueryRowContext(ctx, "SELECT a.capability, a.policy_preset, a.outreach_carrier, a.time_zone, v.id, v.state FROM account a "+
		"JOIN advisor v ON v.account_id = a.id WHERE a.id = ? AND v.openid = ?", f.account, openid).
		Scan(&p.account.Capability, &p.account.PolicyPreset, &p.account.OutreachCarrier, &p.account.TimeZone, &p.advisor, &state)
	if err != nil {
		return nil, err
	}
	if state != string(models.AdvisorActive) {
		return nil, fmt.Errorf("the advisor is %s", state)
	}
	policy := p.account.Policy()
	p.policy = &policy
	if err := f.conversations(ctx, p, first); err != nil {
		return nil, err
	}
	if err := f.customers(ctx, p); err != nil {
		return nil, err
	}
	for _, c := range p.conversations {
		p.customers[c.CustomerID].LastInteractionAt = c.LastInteractionAt
	}
	return p, f.messages(ctx, p)
}

func (f *handwritten) conversations(ctx context.Context, p *page, first int) error {
	rows, err := f.db.QueryContext(ctx, "SELECT customer_id, advisor_id, active_at, last_message_id, unread, last_customer_at, last_interaction_at, last_advisor_at, "+
		"window_end, window_left, window_no, window_from, window_taken, outreach_month, outreach_used, session_end, session_left, session_no, "+
		"session_month, session_sent, session_out FROM conversation WHERE account_id = ? AND advisor_id = ? ORDER BY active_at DESC, customer_id DESC LIMIT ?",
		f.account, p.advisor, first+1)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		c := &models.Conversation{}
		err := rows.Scan(&c.CustomerID, &c.AdvisorID, &c.ActiveAt, &c.LastMessageID, &c.Unread, &c.LastCustomerAt, &c.LastInteractionAt, &c.LastAdvisorAt,
			&c.WindowEnd, &c.WindowLeft, &c.WindowNo, &c.WindowFrom, &c.WindowTaken, &c.Month, &c.OutreachUsed, &c.SessionEnd, &c.SessionLeft, &c.SessionNo,
			&c.SessionMonth, &c.SessionSent, &c.SessionOut)
		if err != nil {
			return err
		}
		p.conversations = append(p.conversations, c)
	}
	if p.more = len(p.conversations) > first; p.more {
		p.conversations = p.conversations[:first]
	}
	return rows.Err()
}

func (f *handwritten) customers(ctx context.Context, p *page) error {
	if len(p.conversations) == 0 {
		return nil
	}
	marks, args := p.list(func(c *models.Conversation) models.Key { return c.CustomerID })
	rows, err := f.db.QueryContext(ctx, "SELECT id, nickname, follow_state, advisor_id, suspended_at FROM customer "+
		"WHERE account_id = ? AND id IN "+marks, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		c := &models.Customer{}
		if err := rows.Scan(&c.Key, &c.Nickname, &c.FollowState, &c.AdvisorID, &c.SuspendedAt); err != nil {
			return err
		}
		p.customers[c.Key] = c
	}
	return rows.Err()
}

func (f *handwritten) messages(ctx context.Context, p *page) error {
	if len(p.conversations) == 0 {
		return nil
	}
	marks, args := p.list(func(c *models.Conversation) models.Key { return c.LastMessageID })
	rows, err := f.db.QueryContext(ctx, "SELECT id, direction, kind, text, status, at FROM message WHERE account_id = ? AND id IN "+marks, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		m := &models.Message{}
		if err := rows.Scan(&m.Key, &m.Direction, &m.Kind, &m.Text, &m.Status, &m.At); err != nil {
			return err
		}
		p.messages[m.Key] = m
	}
	return rows.Err()
}

// list is a list of placeholders and the account with the keys that fill them.
func (p *page) list(key func(*models.Conversation) models.Key) (string, []any) {
	args := make([]any, 1, len(p.conversations)+1)
	args[0] = p.account.Key
	for _, c := range p.conversations {
		args = append(args, key(c))
	}
	return "(?" + strings.Repeat(",?", len(p.conversations)-1) + ")", args
}

// mayWrite is the answer of the product's ledger, with what stands before it.
func (p *page) mayWrite(c *models.Conversation, now models.Time) models.Contactability {
	person := p.customers[c.CustomerID]
	switch {
	case !p.account.IsOpen():
		return models.Refused(models.ReasonAccountClosed)
	case person.FollowState != models.Following:
		return models.Refused(models.ReasonNotFollowing)
	}
	return c.Contact.MayWrite(now, *p.policy)
}

func (p *page) answer(now models.Time) *answer {
	a := &answer{}
	box := &a.Data.Inbox
	box.Nodes = make([]*line, len(p.conversations))
	for i, c := range p.conversations {
		person, may := p.customers[c.CustomerID], p.mayWrite(c, now)
		n := &line{
			ID: c.ID().String(), ActiveAt: at(c.ActiveAt), UnreadCount: c.Unread, HasReplied: c.HasReplied(),
			Customer: customer{ID: person.ID().String(), Nickname: optional(person.Nickname), FollowState: string(person.FollowState), LastInteractionAt: at(person.LastInteractionAt)},
			Contactability: contactability{
				Answer: string(may.Answer), Reason: optional(string(may.Reason)), Left: may.Left, Until: at(may.Until),
				OutreachLeft: may.OutreachLeft, AgainAt: at(may.Again),
			},
		}
		if m := p.messages[c.LastMessageID]; m != nil {
			n.LastMessage = &message{
				ID: m.ID().String(), Direction: string(m.Direction), Status: string(m.Status), SentAt: at(m.At),
				Content: content{Type: "TextContent", Text: m.Text},
			}
		}
		box.Nodes[i] = n
	}
	box.PageInfo.HasNextPage = p.more
	if n := len(p.conversations); n > 0 {
		last := p.conversations[n-1]
		end := relay.Keyset{Sort: int64(last.ActiveAt), Key: last.CustomerID}.Encode()
		box.PageInfo.EndCursor = &end
	}
	return a
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
