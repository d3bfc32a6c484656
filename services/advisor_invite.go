package services

import (
	"fmt"
	"slices"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// inviting is what a transaction that invites knows, and whom it invited: by one call, or by a part of a file. The account
// is locked before it is loaded (rule B1 is counted under that lock).
type inviting struct {
	s       *Services
	tx      *store.Tx
	account *models.Account
	agents  serviceAgents
	byIdent map[store.AdvisorIdent]map[models.Ident]*models.Advisor
	was     map[models.Key]any    // what the audit log tells of who is known already
	follows map[models.Ident]bool // by openid
	invited map[models.Key]bool   // advisors invited earlier in this transaction
	uses    imageUses
	room    int
	fresh   []*models.Advisor // of invited, those who were nobody before
	again   []*models.Advisor // of invited, the others
}

// load locks the people who are known already, and reads who follows.
func (b *inviting) load(in []*Invitation) error {
	tx := b.tx
	idents := map[store.AdvisorIdent][]models.Ident{}
	var openids []models.Ident
	for _, i := range in {
		for column, id := range i.idents() {
			idents[column] = append(idents[column], id)
		}
		if i.OpenID != "" {
			openids = append(openids, i.OpenID)
		}
	}
	found, err := tx.AdvisorsByIdents(tx.Account, idents)
	if err != nil {
		return err
	}
	keys := make([]models.Key, len(found))
	for i, a := range found {
		keys[i] = a.Key
	}
	customers, err := tx.CustomersByOpenID(tx.Account, openids)
	if err != nil {
		return err
	}
	b.follows = map[models.Ident]bool{}
	for _, c := range customers {
		b.follows[c.OpenID] = c.FollowState == models.Following
	}
	rows, err := tx.LockAdvisors(keys)
	if err != nil {
		return err
	}
	b.byIdent = map[store.AdvisorIdent]map[models.Ident]*models.Advisor{}
	b.invited, b.was, b.uses = map[models.Key]bool{}, make(map[models.Key]any, len(rows)), imageUses{}
	for _, a := range rows {
		b.index(a)
		b.was[a.Key] = b.told(a)
	}
	n, err := tx.CountAdvisors(tx.Account, tx.Now)
	b.room = limits.AdvisorsPerAccount - n
	return err
}

func (i Invitation) idents() map[store.AdvisorIdent]models.Ident {
	all := map[store.AdvisorIdent]models.Ident{
		store.AdvisorOpenID: i.OpenID, store.AdvisorUnionID: i.UnionID,
		store.AdvisorWechatID: i.WechatID, store.AdvisorExternalID: i.ExternalID,
	}
	for k, v := range all {
		if v == "" {
			delete(all, k)
		}
	}
	return all
}

func (b *inviting) index(a *models.Advisor) {
	of := Invitation{OpenID: a.OpenID, UnionID: a.UnionID, WechatID: a.WechatID, ExternalID: a.ExternalID}
	for column, id := range of.idents() {
		if b.byIdent[column] == nil {
			b.byIdent[column] = map[models.Ident]*models.Advisor{}
		}
		b.byIdent[column][id] = a
	}
}

// find is the advisor whom an invitation names; nil: nobody yet. CONFLICT when it names several.
func (b *inviting) find(in *Invitation) (a *models.Advisor, err error) {
	for column, id := range in.idents() {
		found := b.byIdent[column][id]
		if found == nil {
			continue
		}
		if a != nil && a != found {
			return nil, models.Errorf(models.CodeConflict, "the identifiers belong to different advisors")
		}
		a = found
	}
	return a, nil
}

// contradicts is the column by which an invitation cannot mean an advisor whom it names otherwise; empty: none. An external id is the merchant's
// name, and may be given to somebody else, who must not become an advisor who was removed, with their stream and tokens. A
// WeChat id is changed by its owner: whose openid or unionid it stands beside is the same person.
func (i Invitation) contradicts(a *models.Advisor) (column store.AdvisorIdent) {
	differ := func(said, is models.Ident) bool { return said != "" && is != "" && said != is }
	same := i.OpenID != "" && i.OpenID == a.OpenID || i.UnionID != "" && i.UnionID == a.UnionID
	switch {
	case differ(i.OpenID, a.OpenID):
		return store.AdvisorOpenID
	case differ(i.UnionID, a.UnionID):
		return store.AdvisorUnionID
	case differ(i.WechatID, a.WechatID) && !same:
		return store.AdvisorWechatID
	}
	return ""
}

// invite decides one invitation of who was found: the same person is the same advisor again (rule B3).
func (b *inviting) invite(in *Invitation, a *models.Advisor) (*models.Advisor, error) {
	now := b.tx.Now
	switch {
	case a != nil && !a.MayBeInvited(now):
		return nil, models.Errorf(models.CodeAlreadyAdvisor, "is an advisor or has an open invitation")
	case a != nil && in.contradicts(a) != "":
		return nil, &models.Error{Code: models.CodeConflict, Field: string(in.contradicts(a)), Message: "is not who another of the identifiers names"}
	case b.agents.has(in.person()), a != nil && b.agents.has(Person{a.OpenID, a.WechatID}):
		return nil, errServiceAgent()
	case b.room <= 0:
		return nil, models.TooMany("", limits.AdvisorsPerAccount, "the account has %d advisors", limits.AdvisorsPerAccount)
	}
	if err := b.mustFollow(in.OpenID); err != nil {
		return nil, err
	}
	if a == nil {
		a = &models.Advisor{AccountID: b.tx.Account, Key: models.NewKey(), CreatedAt: now, UpdatedAt: now, Presence: models.PresenceOffline}
		b.fresh = append(b.fresh, a)
	} else {
		if a.Stored == models.AdvisorPending { // it ran out, and no sweep has noticed
			b.tx.EmitToAccount(models.AccountInvitationExpired, models.Key{}, a.Key)
		}
		b.again = append(b.again, a)
	}
	for to, id := range map[*models.Ident]models.Ident{&a.OpenID: in.OpenID, &a.UnionID: in.UnionID, &a.WechatID: in.WechatID, &a.ExternalID: in.ExternalID} {
		if id != "" {
			*to = id
		}
	}
	picture{isGiven: true, url: in.AvatarURL, image: in.AvatarImage}.put(&a.AvatarURL, &a.AvatarID, b.uses)
	a.Nickname, a.Stored, a.Presence = in.Nickname, models.AdvisorPending, models.PresenceOffline
	a.InvitedAt, a.Deadline, a.AnsweredAt, a.RemovedAt = now, now.Add(limits.InvitationLife), 0, 0
	b.index(a)
	b.invited[a.Key] = true
	b.room--
	return a, nil
}

func errServiceAgent() *models.Error {
	return models.Errorf(models.CodeAlreadyServiceAgent, "is a customer-service agent of the account")
}

// mustFollow reports MUST_FOLLOW_ACCOUNT of an openid that does not follow; who is named otherwise is checked when they
// answer.
func (b *inviting) mustFollow(openid models.Ident) error {
	if openid == "" || b.follows[openid] {
		return nil
	}
	return models.Errorf(models.CodeMustFollowAccount, "the person must follow the account first")
}

// told is what the audit log tells of an advisor who is invited.
func (b *inviting) told(a *models.Advisor) map[string]any {
	return withPicture(map[string]any{"state": a.StateAt(b.tx.Now), "nickname": a.Nickname, "avatarUrl": a.AvatarURL}, a.AvatarID)
}

// save writes the advisors with their codes (rule C1), and notifies them (rule N1). It answers what the audit log is to hold.
func (b *inviting) save() ([]store.Change, error) {
	tx := b.tx
	if err := tx.UpdateAdvisors(b.again, "openid", "unionid", "wechat_id", "external_id", "nickname", "avatar_url", "avatar_id",
		"state", "presence", "invited_at", "deadline", "answered_at", "removed_at"); err != nil {
		return nil, err
	}
	if err := tx.InsertAdvisors(b.fresh); err != nil {
		return nil, err
	}
	codes := make([]*models.QRCode, len(b.fresh))
	for i, a := range b.fresh {
		codes[i] = newQRCode(tx, models.QRCodeAdvisor, a.Key, "")
	}
	if err := b.s.insertQRCodes(tx, b.account, codes); err != nil {
		return nil, err
	}
	var notices []*models.Notification
	var changes []store.Change
	for _, a := range slices.Concat(b.fresh, b.again) {
		tx.OpenStream(a.Key) // it is the same one, whatever became of the advisor before (rule B3)
		n := &models.Notification{
			AccountID: tx.Account, Key: models.NewKey(), AdvisorID: a.Key, Kind: models.NotifyAdvisorAdded,
			Deadline: a.Deadline, Count: 1, At: tx.Now, CreatedAt: tx.Now,
		}
		notices = append(notices, n)
		tx.Emit(models.Event{Stream: a.Key, Kind: models.EventNotificationMade, Notification: n.Key, Primed: &models.Primed{Notification: n}})
		changes = append(changes, store.Change{Action: mayInvite.Field, TargetKind: "Advisor", Target: a.Key, Before: b.was[a.Key], After: b.told(a)})
	}
	if err := b.uses.save(tx, tx.Now); err != nil {
		return nil, err
	}
	return changes, tx.InsertNotifications(notices)
}

// lockImages locks the images that invitations name, and those that who is invited again has.
func (b *inviting) lockImages(in []*Invitation) (map[models.Key]*models.Image, error) {
	keys := map[models.Key]bool{}
	for _, i := range in {
		keys[i.AvatarImage] = true
		if a, err := b.find(i); err == nil && a != nil {
			keys[a.AvatarID] = true
		}
	}
	return lockImages(b.tx, keysIn(keys))
}

// inviteBatch is one call's worth of invitations in its transaction.
type inviteBatch struct {
	inviting
	in []Invitation
	// items is what came of each; those that are none have an error before anything is read.
	items []models.ItemResult
}

// invitationFields are the fields of an invitation by the columns of files.
var invitationFields = map[store.AdvisorIdent]string{store.AdvisorOpenID: "openid", store.AdvisorUnionID: "unionid", store.AdvisorWechatID: "wechatId"}

// write invites under the account's lock.
func (b *inviteBatch) write() error {
	var whom []*Invitation
	for i := range b.in {
		if b.items[i].Err == nil {
			whom = append(whom, &b.in[i])
		}
	}
	if err := b.load(whom); err != nil {
		return err
	}
	images, err := b.lockImages(whom)
	if err != nil {
		return err
	}
	for i := range b.in {
		if b.items[i].Err == nil && !b.in[i].AvatarImage.IsZero() && images[b.in[i].AvatarImage] == nil {
			b.items[i].Err = models.NotFound("image", fmt.Sprintf("input.advisors.%d.avatarImageId", i))
		}
		if b.items[i].Err != nil {
			continue
		}
		a, err := b.find(&b.in[i])
		switch {
		case err != nil:
		case a != nil && b.invited[a.Key]:
			err = models.Errorf(models.CodeDuplicate, "stands earlier in the same call")
		default:
			a, err = b.invite(&b.in[i], a)
		}
		if err != nil {
			e := models.AsItemError(err)
			if e.Field != "" {
				e.Field = fmt.Sprintf("input.advisors.%d.%s", i, invitationFields[store.AdvisorIdent(e.Field)])
			} else {
				e.Field = fmt.Sprintf("input.advisors.%d", i)
			}
			b.items[i].Err = e
			continue
		}
		b.items[i].Target, b.items[i].Changed = a.Key, true
	}
	changes, err := b.save()
	if err != nil {
		return err
	}
	if len(changes) == 0 {
		changes = []store.Change{{Action: mayInvite.Field, TargetKind: "Account", Target: b.tx.Account, After: "nobody"}}
	}
	return b.tx.Audit(changes...)
}
