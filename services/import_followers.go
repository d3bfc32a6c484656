package services

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// ImportFollowers starts the job that makes customers of all who follow the account (rule E11), as the channel's directory has them. repeated: the
// idempotency key was used before, and this is its job. Errors: STATE where the channel has no directory, or while another such job has not ended; LIMIT_EXCEEDED (jobs).
func (s *Services) ImportFollowers(ctx context.Context, key string) (job *models.Job, repeated bool, err error) {
	c, err := s.begin(ctx, mayImportFollowers)
	if err != nil {
		return nil, false, err
	}
	if _, has := s.directory(c.Account); !has {
		return nil, false, models.Errorf(models.CodeState, "the account's channel cannot say who follows it")
	}
	once, err := onceOf(c, key, mayImportFollowers.Field, nil)
	if err != nil {
		return nil, false, err
	}
	items, repeated, err := s.bulk(ctx, c, once, func(tx *store.Tx, again func() (bool, error)) ([]models.ItemResult, error) {
		account, err := tx.LockAccount()
		if err != nil {
			return nil, err
		}
		if repeated, err := again(); repeated || err != nil {
			return nil, err
		}
		if !account.IsOpen() {
			return nil, models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
		}
		switch open, err := tx.HasOpenJob(tx.Account, models.JobImportFollowers); {
		case err != nil:
			return nil, err
		case open:
			return nil, models.Errorf(models.CodeState, "the account's followers are being imported")
		}
		if job, err = startJob(tx, models.JobImportFollowers, c.by(), struct{}{}); err != nil {
			return nil, err
		}
		return []models.ItemResult{{Target: job.Key, Changed: true}}, tx.Audit(store.Change{
			Action: mayImportFollowers.Field, TargetKind: "Job", Target: job.Key, After: map[string]any{"kind": job.Kind},
		})
	})
	if err != nil {
		return nil, false, err
	}
	if repeated {
		job, err = s.Job(ctx, items[0].Target)
		return job, true, err
	}
	s.wakeJobs()
	return job, false, nil
}

// followersAt is how far such a job has come: the follower that it dealt with last, of whom the list goes on. When they are erased meanwhile it begins
// again, which changes nothing of who has been dealt with.
type followersAt struct {
	After models.Ident `json:"after"`
}

func followersPlace(job *models.Job) (at followersAt, err error) {
	if job.Cursor != "" {
		err = json.Unmarshal([]byte(job.Cursor), &at)
	}
	if at.After == models.Erased {
		at.After = ""
	}
	return at, err
}

// followersJob imports who follows an account, limits.FollowersInfo of them a transaction.
type followersJob struct {
	s *Services
	// What the platform said of the next chunk; see Ask.
	page  FollowersPage
	infos map[models.Ident]FollowerInfo
	next  models.Ident // what the list goes on with behind these; empty: there are no more
}

// Total implements jobKind. The platform says it with the first page.
func (*followersJob) Total(*store.Reader, *models.Job) (int64, error) { return -1, nil }

// Ask implements askingKind.
func (k *followersJob) Ask(ctx context.Context, job *models.Job) (jobKind, error) {
	account, err := k.s.store.View(ctx).Account(job.AccountID)
	if err != nil {
		return nil, err
	}
	if !account.IsOpen() {
		return nil, models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
	}
	directory, has := k.s.directory(account)
	if !has {
		return nil, models.Errorf(models.CodeState, "the account's channel cannot say who follows it")
	}
	at, err := followersPlace(job)
	if err != nil {
		return nil, err
	}
	page, kept := k.s.pages.behind(job.Key, at.After)
	if !kept {
		if page, err = directory.Followers(ctx, account, at.After); err != nil {
			return nil, unanswered(err)
		}
		page = page.bounded()
		k.s.pages.keep(job.Key, page)
	}
	asked := &followersJob{s: k.s, page: page, next: page.Next}
	if len(page.OpenIDs) == 0 {
		asked.next = ""
		return asked, nil
	}
	if most := limits.FollowersInfo; len(page.OpenIDs) > most {
		asked.page.OpenIDs = page.OpenIDs[:most]
		asked.next = page.OpenIDs[most-1]
	}
	infos, err := directory.FollowersInfo(ctx, account, asked.page.OpenIDs)
	if err != nil {
		return nil, unanswered(err)
	}
	asked.infos = make(map[models.Ident]FollowerInfo, len(infos))
	for _, i := range infos {
		asked.infos[i.OpenID] = i
	}
	return asked, nil
}

// Step implements jobKind.
func (k *followersJob) Step(tx *store.Tx, job *models.Job) (items []models.ItemResult, last bool, err error) {
	if job.Total < 0 {
		job.Total = k.page.Total
	}
	b := &followersBatch{tx: tx}
	if items, err = b.write(k.page.OpenIDs, k.infos); err != nil {
		return nil, false, err
	}
	if k.next == "" {
		return items, true, nil
	}
	text, err := json.Marshal(followersAt{After: k.next})
	job.Cursor = string(text)
	return items, false, err
}

// followersBatch is a chunk of the list: the rows it locked, and what is to be written. Its statements are as many for one follower as for limits.FollowersInfo.
type followersBatch struct {
	tx *store.Tx

	customers map[models.Ident]*models.Customer
	byUnionID map[models.Ident]models.Ident // openids
	advisors  map[models.Key]*models.Advisor

	fresh, known []*models.Customer
	told         map[models.Key]bool // advisors who have something new
}

// write makes customers of those who follow, and answers what came of each of the openids, in order.
func (b *followersBatch) write(openids []models.Ident, infos map[models.Ident]FollowerInfo) ([]models.ItemResult, error) {
	account, err := b.tx.Reader.Account(b.tx.Account)
	if err != nil {
		return nil, err
	}
	if !account.IsOpen() {
		return nil, models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
	}
	if err := b.load(openids, infos); err != nil {
		return nil, err
	}
	items, seen := make([]models.ItemResult, len(openids)), map[models.Ident]bool{}
	for i, openid := range openids {
		info, is := infos[openid]
		again := seen[openid]
		seen[openid] = true
		switch bad := info.check(); {
		case again:
		case !is || !info.Follows: // they left since the list was made
		case bad != nil:
			items[i].Err = bad
		default:
			items[i] = b.apply(info)
		}
	}
	return items, b.save()
}

// check is what is wrong with what a platform says, as the columns would have it.
func (f FollowerInfo) check() *models.Error {
	if err := models.CheckIdent(string(f.OpenID), "openid", limits.OpenIDBytes); err != nil {
		return models.AsItemError(err)
	}
	if f.UnionID == "" {
		return nil
	}
	if err := models.CheckIdent(string(f.UnionID), "unionid", limits.OpenIDBytes); err != nil {
		return models.AsItemError(err)
	}
	return nil
}

// load locks those who are known, and reads who has the unionids, and the advisors of those who get one.
func (b *followersBatch) load(openids []models.Ident, infos map[models.Ident]FollowerInfo) error {
	b.customers, b.byUnionID, b.told = map[models.Ident]*models.Customer{}, map[models.Ident]models.Ident{}, map[models.Key]bool{}
	known, err := b.tx.CustomerKeys(openids)
	if err != nil {
		return err
	}
	customers, _, err := b.tx.LockCustomers(slices.Collect(maps.Values(known)))
	if err != nil {
		return err
	}
	for _, c := range customers {
		b.customers[c.OpenID] = c
	}
	b.byUnionID, b.advisors, err = unionIDs(&b.tx.Reader, b.tx.Account, infos, b.customers)
	return err
}

// apply does what the platform says of somebody who follows, in memory. A unionid that they cannot have is all that is left out.
func (b *followersBatch) apply(info FollowerInfo) (result models.ItemResult) {
	c, isKnown := b.customers[info.OpenID]
	if !isKnown {
		c = &models.Customer{
			AccountID: b.tx.Account, Key: models.NewKey(), OpenID: info.OpenID, FollowState: models.Following,
			FollowedAt: cmp.Or(info.FollowedAt, b.tx.Now), CreatedAt: b.tx.Now, UpdatedAt: b.tx.Now,
		}
		b.customers[c.OpenID] = c
		b.fresh = append(b.fresh, c)
		result.Changed = true
	} else if c.FollowState != models.Following && info.FollowedAt > 0 && info.FollowedAt >= c.UnfollowedAt {
		// A binding that is suspended is taken up by what they do next (rule E12).
		c.FollowState, c.FollowedAt, result.Changed = models.Following, info.FollowedAt, true
	}
	result.Target = c.Key
	if learned, bad := learn(c, info.UnionID, b.byUnionID, b.advisors); bad != nil {
		result.Err = bad
	} else if learned {
		result.Changed = true
	}
	if isKnown && result.Changed {
		b.known = append(b.known, c)
		if !c.AdvisorID.IsZero() {
			b.told[c.AdvisorID] = true
		}
	}
	return result
}

// unionIDs reads, of followers of whom the platform tells, which openids have their unionids already, and the advisors of customers who may get one.
func unionIDs(r *store.Reader, account models.Key, infos map[models.Ident]FollowerInfo, customers map[models.Ident]*models.Customer) (map[models.Ident]models.Ident, map[models.Key]*models.Advisor, error) {
	var unionids []models.Ident
	advisors := map[models.Key]bool{}
	for openid, info := range infos {
		if info.UnionID == "" {
			continue
		}
		unionids = append(unionids, info.UnionID)
		if c := customers[openid]; c != nil && c.UnionID == "" && !c.AdvisorID.IsZero() {
			advisors[c.AdvisorID] = true
		}
	}
	have, err := r.CustomersByUnionID(account, unionids)
	if err != nil {
		return nil, nil, err
	}
	byUnionID := make(map[models.Ident]models.Ident, len(have))
	for _, c := range have {
		byUnionID[c.UnionID] = c.OpenID
	}
	rows, err := r.Advisors(account, keysIn(advisors))
	if err != nil {
		return nil, nil, err
	}
	byKey := make(map[models.Key]*models.Advisor, len(rows))
	for _, a := range rows {
		byKey[a.Key] = a
	}
	return byUnionID, byKey, nil
}

// learn gives a customer the unionid that the platform has, and reports whether it is new. Never another than they have, nor one that somebody else has:
// CONFLICT; nor one by which they would be their own advisor (rule E1): SELF.
func learn(c *models.Customer, unionid models.Ident, byUnionID map[models.Ident]models.Ident, advisors map[models.Key]*models.Advisor) (bool, *models.Error) {
	switch had := byUnionID[unionid]; {
	case unionid == "" || unionid == c.UnionID:
		return false, nil
	case c.UnionID != "":
		return false, &models.Error{Code: models.CodeConflict, Field: "unionid", Message: "the customer has another unionid"}
	case had != "" && had != c.OpenID:
		return false, &models.Error{Code: models.CodeConflict, Field: "unionid", Message: "another customer has the unionid"}
	}
	if a := advisors[c.AdvisorID]; a != nil && a.UnionID == unionid {
		return false, errOwnUnionID()
	}
	c.UnionID, byUnionID[unionid] = unionid, c.OpenID
	return true, nil
}

// errOwnUnionID is the answer to a unionid by which a customer would be their own advisor (rule E1).
func errOwnUnionID() *models.Error {
	return &models.Error{Code: models.CodeSelf, Field: "unionid", Message: "the unionid is that of the customer's advisor"}
}

// save writes what changed.
func (b *followersBatch) save() error {
	// In the order of the index that is unique: see importBatch.
	slices.SortFunc(b.fresh, func(x, y *models.Customer) int { return cmp.Compare(x.OpenID, y.OpenID) })
	begun := make([]*models.Conversation, len(b.fresh))
	for i, c := range b.fresh {
		begun[i] = &models.Conversation{AccountID: b.tx.Account, CustomerID: c.Key, CreatedAt: b.tx.Now, UpdatedAt: b.tx.Now}
	}
	for _, advisor := range keysIn(b.told) {
		b.tx.Emit(models.Event{Stream: advisor, Kind: models.EventCustomersImported})
	}
	if len(b.known)+len(b.fresh) > 0 {
		b.tx.EmitToAccount(models.AccountCustomersImported, models.Key{}, models.Key{})
	}
	if err := b.tx.UpdateCustomers(b.known, "unionid", "follow_state", "followed_at"); err != nil {
		return err
	}
	return b.tx.InsertCustomers(b.fresh, begun)
}

// followerPages are the pages that jobs of this node are at, so that a page is asked for once and not for each chunk: the platform answers few pages a day.
// Another node that goes on with a job asks for what follows.
type followerPages struct {
	mu    sync.Mutex
	pages map[models.Key]FollowersPage // by job
}

// behind is what a kept page has behind a follower.
func (p *followerPages) behind(job models.Key, after models.Ident) (FollowersPage, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page, kept := p.pages[job]
	i := slices.Index(page.OpenIDs, after)
	if !kept || i < 0 || i == len(page.OpenIDs)-1 {
		return FollowersPage{}, false
	}
	page.OpenIDs = page.OpenIDs[i+1:]
	return page, true
}

func (p *followerPages) keep(job models.Key, page FollowersPage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other := range p.pages {
		if len(p.pages) < limits.FollowersKept {
			break
		}
		delete(p.pages, other)
	}
	p.pages[job] = page
}
