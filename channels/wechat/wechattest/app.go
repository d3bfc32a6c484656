package wechattest

import (
	"crypto/rand"
	"slices"
	"strings"
	"time"
)

// Follower is somebody who follows an account.
type Follower struct {
	OpenID string
	// UnionID is empty where the account belongs to no Open Platform account.
	UnionID    string
	FollowedAt time.Time // the zero time is now
	// Scene is the subscribe_scene, e.g. ADD_SCENE_WECHAT_ADVERTISEMENT; empty is ADD_SCENE_OTHERS.
	Scene string
}

// Sent is a message that the platform took.
type Sent struct {
	OpenID string
	// Type is the msgtype, e.g. "text".
	Type string
	Text string         // of a text
	Body map[string]any // all that was posted
}

// Ticket is a QR code that was made.
type Ticket struct {
	Ticket, URL string
	// Action is the action_name, e.g. QR_LIMIT_STR_SCENE.
	Action string
	Scene  string
	// Expires is in seconds; 0 of a permanent one.
	Expires int
}

// App is a service account as the platform keeps it. Faults and records are of one path of the API, e.g. PathSend. Safe for concurrent use.
type App struct {
	api    *API
	secret string
	tokens map[string]*token
	// newest is the token that stable_token answers; forced is when one was last asked for by force, forcedTimes how often on that day.
	newest      string
	forced      time.Time
	forcedTimes int

	followers map[string]*follower
	order     int // the last follower's
	agents    []agent
	calls     []Call
	sent      []Sent
	tickets   []Ticket
	permanent int
	page      int
	// lastSaysSo: the last page of followers has no next_openid, instead of one after which nobody comes.
	lastSaysSo bool

	faults map[string][]fault
	stalls map[string]chan struct{}
	quotas map[string]*quota
}

func newApp(a *API) *App {
	return &App{
		api: a, followers: map[string]*follower{}, page: followersPage,
		faults: map[string][]fault{}, stalls: map[string]chan struct{}{}, quotas: map[string]*quota{},
	}
}

type follower struct {
	Follower
	// order is the place in the list: who came last is last.
	order int
	left  bool
}

type agent struct {
	wx      string
	invited bool
}

// token is one that was handed out. dead: 40001 whatever its time.
type token struct {
	ends time.Time
	dead bool
}

func (t *token) fault(now time.Time) int {
	switch {
	case t.dead:
		return ErrCredential
	case !now.Before(t.ends):
		return ErrTokenExpired
	}
	return 0
}

// fault is what becomes of one call.
type fault struct {
	errcode int  // nothing is done, and this is answered; see closes and status
	status  int  // the HTTP status, instead of what is answered
	closes  bool // the connection is closed without an answer
	stalled <-chan struct{}
}

type quota struct {
	most, used int
	day        string
}

// today is the platform's: quotas begin anew at midnight in China.
func (p *App) today() string { return dayOf(p.api.now()) }

func dayOf(t time.Time) string {
	return t.In(time.FixedZone("Asia/Shanghai", int((8 * time.Hour).Seconds()))).Format(time.DateOnly)
}

// spend counts a call against the quota of its path. mu must be held.
func (p *App) spend(path string) int {
	q := p.quotas[path]
	if q == nil {
		return 0
	}
	if today := p.today(); q.day != today {
		q.day, q.used = today, 0
	}
	if q.used >= q.most {
		return ErrQuota
	}
	q.used++
	return 0
}

// fault takes the next fault of a path. mu must be held.
func (p *App) fault(path string) (f fault) {
	if waiting := p.faults[path]; len(waiting) > 0 {
		f, p.faults[path] = waiting[0], waiting[1:]
	}
	if stall := p.stalls[path]; stall != nil {
		f.stalled = stall
	}
	return f
}

func (p *App) add(path string, times int, f fault) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	for range times {
		p.faults[path] = append(p.faults[path], f)
	}
}

// Fail has the next calls of a path do nothing and answer errcode. Faults of a path come in the order in which they were asked for.
func (p *App) Fail(path string, times, errcode int) { p.add(path, times, fault{errcode: errcode}) }

// Break has the platform close the connection of the next calls without doing anything.
func (p *App) Break(path string, times int) {
	p.add(path, times, fault{errcode: ErrSystem, closes: true})
}

// Lose has the platform do what the next calls ask for and close the connection instead of answering.
func (p *App) Lose(path string, times int) { p.add(path, times, fault{closes: true}) }

// Status has the next calls do nothing and answer an HTTP status with a text that is no JSON.
func (p *App) Status(path string, times, httpStatus int) {
	p.add(path, times, fault{errcode: ErrSystem, status: httpStatus})
}

// Heal takes back what Fail, Break, Lose, Status and Quota asked for of a path.
func (p *App) Heal(path string) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	delete(p.faults, path)
	delete(p.quotas, path)
}

// Stall holds the calls of a path before anything is done, until release is called or the caller has gone.
func (p *App) Stall(path string) (release func()) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	if p.stalls[path] == nil {
		p.stalls[path] = make(chan struct{})
	}
	return func() {
		p.api.mu.Lock()
		defer p.api.mu.Unlock()
		p.letGo(path)
	}
}

// letGo ends a stall, if there is one. mu must be held.
func (p *App) letGo(path string) {
	if stall := p.stalls[path]; stall != nil {
		close(stall)
		delete(p.stalls, path)
	}
}

// Quota allows n calls of a path a day, from now on; those beyond are answered 45009 until midnight in China.
func (p *App) Quota(path string, n int) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	p.quotas[path] = &quota{most: n, day: p.today()}
}

// ExpireTokens has all tokens be past their time: 42001.
func (p *App) ExpireTokens() {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	for _, t := range p.tokens {
		t.ends = p.api.now()
	}
}

// KillTokens has all tokens be invalid before their time, as somebody else's asking by force does: 40001. stable_token answers another.
func (p *App) KillTokens() {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	p.kill()
}

func (p *App) kill() {
	for _, t := range p.tokens {
		t.dead = true
	}
	p.newest = ""
}

// Follow has somebody follow, or follow again: then they are the last of the list.
func (p *App) Follow(f Follower) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	if f.FollowedAt.IsZero() {
		f.FollowedAt = p.api.now()
	}
	if f.Scene == "" {
		f.Scene = "ADD_SCENE_OTHERS"
	}
	p.order++
	p.followers[f.OpenID] = &follower{Follower: f, order: p.order}
}

// Unfollow has somebody leave. The list goes on from them all the same.
func (p *App) Unfollow(openid string) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	if f := p.followers[openid]; f != nil {
		f.left = true
	}
}

// Agent makes somebody, by their WeChat id, a customer-service agent of the account.
func (p *App) Agent(kfWx string) { p.addAgent(agent{wx: kfWx}) }

// InviteAgent invites somebody, by their WeChat id, who has not answered.
func (p *App) InviteAgent(kfWx string) { p.addAgent(agent{wx: kfWx, invited: true}) }

func (p *App) addAgent(k agent) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	p.agents = append(p.agents, k)
}

// Pages makes pages of followers at most n long, 10,000 unless a test says so. lastSaysSo is how the list ends: with a last page that has no
// next_openid, or as otherwise with one more page that has nobody. The documentation shows both.
func (p *App) Pages(n int, lastSaysSo bool) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	p.page, p.lastSaysSo = n, lastSaysSo
}

// PermanentCodes has so many permanent QR codes be there already.
func (p *App) PermanentCodes(n int) {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	p.permanent = n
}

// Calls is the calls of a path, in order, those that failed too.
func (p *App) Calls(path string) []Call {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	var made []Call
	for _, c := range p.calls {
		if c.Path == path {
			made = append(made, c)
		}
	}
	return made
}

// Sent is the messages that the platform took, in order.
func (p *App) Sent() []Sent {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	return slices.Clone(p.sent)
}

// Tickets is the QR codes that were made, in order.
func (p *App) Tickets() []Ticket {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	return slices.Clone(p.tickets)
}

// Token is a valid token, as somebody else who knows the secret would be given. A test may call the API with it.
func (p *App) Token() string {
	p.api.mu.Lock()
	defer p.api.mu.Unlock()
	return p.valid()
}

// valid is the token that is to be used now, a new one near the end of the old one's life. mu must be held.
func (p *App) valid() string {
	now := p.api.now()
	if t := p.tokens[p.newest]; t != nil && t.fault(now.Add(tokenEarly)) == 0 {
		return p.newest
	}
	if p.tokens == nil {
		p.tokens = map[string]*token{}
	}
	p.newest = strings.Join([]string{"97_", rand.Text(), rand.Text(), rand.Text(), rand.Text(), rand.Text()}, "-")
	p.tokens[p.newest] = &token{ends: now.Add(tokenLife)}
	return p.newest
}
