package services

import (
	"context"
	"maps"
	"slices"
	"strings"

	"clientele/internal/csvfile"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// openAdvisors asks which people of the next chunk of a file of advisors (rule B7) are customer-service agents of the account (rule B2), before its
// transaction begins. That reads the same records again, or does not commit.
func (s *Services) openAdvisors(ctx context.Context, job *models.Job) (importOpen, error) {
	work, at, err := importAsked(job)
	if err != nil {
		return nil, err
	}
	r := s.store.View(ctx)
	account, err := r.Account(job.AccountID)
	if err != nil {
		return nil, err
	}
	data, err := r.ImportBytes(job.AccountID, work.Import, at.At, limits.ImportWindow)
	if err != nil {
		return nil, err
	}
	seen := &advisorBatch{header: work.Header}
	work.chunk(data, at, limits.ImportAdvisors, seen.take)
	var agents serviceAgents
	if account.IsOpen() {
		if agents, err = s.serviceAgents(ctx, account, seen.people()); err != nil {
			return nil, err
		}
	}
	return func(tx *store.Tx, _ *models.Job, work *importWork) (importChunk, *models.Account, error) {
		account, err := tx.LockAccount()
		if err != nil {
			return nil, nil, err
		}
		tx.ActFor(work.Actor)
		return &advisorBatch{inviting: inviting{s: s, tx: tx, account: account, agents: agents}, header: work.Header}, account, nil
	}, nil
}

// advisorRecord is an advisor of a file.
type advisorRecord struct {
	models.AdvisorRow
	who Invitation
}

// advisorBatch is a chunk of a file of advisors: the rows it locked, and what is to be written. Its statements are as many for one
// record as for limits.ImportAdvisors.
type advisorBatch struct {
	inviting
	header  models.ImportHeader
	records []*advisorRecord

	groups  map[string]*models.Group // by folded name; those that are locked
	isIn    map[models.GroupMember]bool
	joined  []*models.GroupMember
	joining map[models.Key]int // how many joined, by group

	edited map[models.Key]*advisorEdit
	edits  []*advisorEdit      // edited, in the order of the file
	freed  map[models.Key]bool // advisors whose external id became another
}

// advisorEdit is an advisor who was not invited and is changed, with what was before.
type advisorEdit struct {
	advisor *models.Advisor
	was     map[string]any
	found   []string // identifiers that were not known before
}

// columnsOf are the columns of a file by what inviteAdvisors and updateCustomers call them.
var columnsOf = map[string]string{
	".openid": "openid", ".unionid": "unionid", ".wechatId": "wechat_id", ".externalId": "external_id", ".avatarUrl": "avatar_url",
}

// take implements importChunk.
func (b *advisorBatch) take(fields []string) *models.Error {
	for i := range fields {
		fields[i] = csvfile.Unguarded(fields[i])
	}
	row, bad := b.header.AdvisorRow(fields)
	if bad != nil {
		return bad
	}
	r := &advisorRecord{AdvisorRow: row, who: Invitation{
		OpenID: row.OpenID, UnionID: row.UnionID, WechatID: row.WechatID, ExternalID: row.ExternalID, Nickname: row.Nickname, AvatarURL: row.AvatarURL,
	}}
	if err := r.who.checkRest(""); err != nil {
		bad := *models.AsItemError(err)
		bad.Field = columnsOf[bad.Field]
		return &bad
	}
	if row.Nickname != "" {
		name, err := models.CheckName(row.Nickname, "nickname", limits.AdvisorNicknameRunes)
		if err != nil {
			return models.AsItemError(err)
		}
		r.who.Nickname = name
	}
	b.records = append(b.records, r)
	return nil
}

// people are those whom the records may invite.
func (b *advisorBatch) people() (all []Person) {
	for _, r := range b.records {
		if !r.IsPassedOver() {
			all = append(all, r.who.person())
		}
	}
	return all
}

// write implements importChunk, in the order of the lock phases.
func (b *advisorBatch) write() ([]models.ItemResult, error) {
	if len(b.records) == 0 {
		return nil, nil
	}
	whom := make([]*Invitation, 0, len(b.records))
	for _, r := range b.records {
		if !r.IsPassedOver() {
			whom = append(whom, &r.who)
		}
	}
	b.joining, b.edited, b.freed = map[models.Key]int{}, map[models.Key]*advisorEdit{}, map[models.Key]bool{}
	if err := b.lockGroups(); err != nil {
		return nil, err
	}
	if err := b.load(whom); err != nil {
		return nil, err
	}
	if err := b.readMembers(); err != nil {
		return nil, err
	}
	results := make([]models.ItemResult, len(b.records))
	for i, r := range b.records {
		if !r.IsPassedOver() {
			results[i] = b.apply(r)
		}
	}
	// An identifier may have been taken by an answer to an invitation, which does not lock the account.
	return results, store.IfMeanwhile(b.save())
}

// lockGroups locks the groups that the records name.
func (b *advisorBatch) lockGroups() error {
	named := map[string]bool{}
	for _, r := range b.records {
		for _, name := range r.Groups {
			named[models.Fold(name)] = true
		}
	}
	b.groups = make(map[string]*models.Group, len(named))
	if len(named) == 0 {
		return nil
	}
	all, err := b.tx.AllGroups(b.tx.Account)
	if err != nil {
		return err
	}
	var keys []models.Key
	for _, g := range all {
		if named[g.FoldedName] {
			keys = append(keys, g.Key)
		}
	}
	groups, err := b.tx.LockGroups(keys)
	for _, g := range groups { // by the name that it has now
		b.groups[g.FoldedName] = g
	}
	return err
}

// readMembers reads which of the groups the advisors belong to; the groups' locks keep it so.
func (b *advisorBatch) readMembers() error {
	b.isIn = map[models.GroupMember]bool{}
	known := map[models.Key]bool{}
	for _, byIdent := range b.byIdent {
		for _, a := range byIdent {
			known[a.Key] = true
		}
	}
	rows, err := b.tx.Memberships(b.tx.Account, keysIn(known))
	for _, m := range rows {
		b.isIn[models.GroupMember{GroupID: m.GroupID, AdvisorID: m.AdvisorID}] = true
	}
	return err
}

// apply does what a record says, in memory: all of it or nothing.
func (b *advisorBatch) apply(r *advisorRecord) (result models.ItemResult) {
	fail := func(err error) models.ItemResult {
		result.Err = models.AsItemError(err)
		return result
	}
	a, err := b.find(&r.who)
	if err != nil {
		return fail(err)
	}
	if a != nil {
		result.Target = a.Key
	}
	groups, err := b.open(r, a)
	if err != nil {
		return fail(err)
	}
	if a != nil && !a.MayBeInvited(b.tx.Now) {
		result.Changed, err = b.edit(r, a)
	} else {
		a, err = b.inviteOne(r, a)
		result.Changed = true
	}
	if err != nil {
		result.Changed = false
		return fail(err)
	}
	result.Target = a.Key
	for _, g := range groups {
		g.MemberCount++
		b.joining[g.Key]++
		b.isIn[models.GroupMember{GroupID: g.Key, AdvisorID: a.Key}] = true
		b.joined = append(b.joined, &models.GroupMember{AccountID: b.tx.Account, GroupID: g.Key, AdvisorID: a.Key, CreatedAt: b.tx.Now})
		result.Changed = true
	}
	return result
}

// open is which of the record's groups the advisor is to join, if all take them: NOT_FOUND, LIMIT_EXCEEDED.
func (b *advisorBatch) open(r *advisorRecord, a *models.Advisor) (groups []*models.Group, err error) {
	for _, name := range r.Groups {
		g := b.groups[models.Fold(name)]
		switch {
		case g == nil:
			return nil, models.NotFound("group", "groups")
		case a != nil && b.isIn[models.GroupMember{GroupID: g.Key, AdvisorID: a.Key}]:
		case g.MemberCount >= limits.AdvisorsPerGroup:
			return nil, models.TooMany("groups", limits.AdvisorsPerGroup, "a group has %d advisors", limits.AdvisorsPerGroup)
		default:
			groups = append(groups, g)
		}
	}
	return groups, nil
}

// inviteOne invites who is nobody's advisor now. What the record leaves empty stays, of one who was invited before.
func (b *advisorBatch) inviteOne(r *advisorRecord, a *models.Advisor) (*models.Advisor, error) {
	in := r.who
	if a != nil {
		if in.Nickname == "" {
			in.Nickname = a.Nickname
		}
		if in.AvatarURL == "" {
			in.AvatarURL, in.AvatarImage = a.AvatarURL, a.AvatarID
		}
	}
	if in.Nickname == "" {
		return nil, models.Invalid("nickname", "is needed of somebody new")
	}
	had := models.Ident("")
	if a != nil {
		had = a.ExternalID
	}
	a, err := b.invite(&in, a)
	if err == nil && had != "" && a.ExternalID != had {
		b.moved(a, had)
	}
	return a, err
}

// moved notes that an advisor has another external id than before.
func (b *advisorBatch) moved(a *models.Advisor, had models.Ident) {
	delete(b.byIdent[store.AdvisorExternalID], had)
	b.freed[a.Key] = true
}

// edit writes what a record says of an advisor who is PENDING or ACTIVE, and reports whether that is anything new. Who they are stays: CONFLICT
// for an identifier that is not theirs. While they are PENDING, one that was not known is added, under the rules of an invitation.
func (b *advisorBatch) edit(r *advisorRecord, a *models.Advisor) (bool, error) {
	var added []func()
	edit := b.edited[a.Key]
	if edit == nil {
		edit = &advisorEdit{advisor: a, was: withPicture(map[string]any{"nickname": a.Nickname, "avatarUrl": a.AvatarURL, "externalId": a.ExternalID}, a.AvatarID)}
	}
	for _, of := range []struct {
		column string
		is     *models.Ident
		said   models.Ident
	}{{"openid", &a.OpenID, r.OpenID}, {"unionid", &a.UnionID, r.UnionID}, {"wechat_id", &a.WechatID, r.WechatID}} {
		switch {
		case of.said == "" || of.said == *of.is:
			continue
		case *of.is != "":
			return false, &models.Error{Code: models.CodeConflict, Field: of.column, Message: "is not this advisor's"}
		case a.Stored != models.AdvisorPending:
			return false, &models.Error{Code: models.CodeConflict, Field: of.column, Message: "is not known of this advisor, who has accepted the invitation"}
		}
		added = append(added, func() {
			*of.is = of.said
			edit.found = append(edit.found, of.column)
		})
	}
	if a.OpenID == "" {
		if b.agents.has(r.who.person()) {
			return false, errServiceAgent()
		}
		if err := b.mustFollow(r.OpenID); err != nil {
			return false, err
		}
	}
	changed := len(added) > 0
	for _, add := range added {
		add()
	}
	for is, said := range map[*string]string{&a.Nickname: r.who.Nickname, &a.AvatarURL: r.who.AvatarURL} {
		if said != "" && said != strings.TrimSpace(*is) { // as the file has it
			*is, changed = said, true
		}
	}
	if a.AvatarURL != "" && !a.AvatarID.IsZero() { // the file's takes the image's place
		b.uses.moved(a.AvatarID, models.Key{})
		a.AvatarID = models.Key{}
	}
	if had := a.ExternalID; r.ExternalID != "" && r.ExternalID != had {
		if a.ExternalID, changed = r.ExternalID, true; had != "" {
			b.moved(a, had)
		}
	}
	if changed {
		b.index(a)
		if !b.invited[a.Key] && b.edited[a.Key] == nil {
			b.edited[a.Key], b.edits = edit, append(b.edits, edit)
		}
	}
	return changed, nil
}

// save writes what changed, and what the audit log is to hold of it: what a call would have written for each.
func (b *advisorBatch) save() error {
	tx := b.tx
	if err := tx.FreeExternalIDs(keysIn(b.freed)); err != nil {
		return err
	}
	var edited []*models.Advisor
	var changes []store.Change
	for _, e := range b.edits {
		a := e.advisor
		edited = append(edited, a)
		tx.Emit(models.Event{Stream: a.Key, Kind: models.EventAdvisorChanged})
		after := withPicture(map[string]any{"nickname": a.Nickname, "avatarUrl": a.AvatarURL, "externalId": a.ExternalID}, a.AvatarID)
		if len(e.found) > 0 {
			after["added"] = e.found
		}
		changes = append(changes, store.Change{Action: mayUpdateAdvisor.Field, TargetKind: "Advisor", Target: a.Key, Before: e.was, After: after})
	}
	if err := tx.UpdateAdvisors(edited, "openid", "unionid", "wechat_id", "external_id", "nickname", "avatar_url", "avatar_id"); err != nil {
		return err
	}
	invited, err := b.inviting.save()
	if err != nil {
		return err
	}
	var groups []*models.Group
	for g := range maps.Values(b.groups) {
		if n := b.joining[g.Key]; n > 0 {
			groups = append(groups, g)
			changes = append(changes, store.Change{Action: mayAddToGroup.Field, TargetKind: "Group", Target: g.Key, After: map[string]any{"added": n}})
		}
	}
	if err := tx.InsertMembers(groups, b.joined); err != nil {
		return err
	}
	return tx.Audit(slices.Concat(invited, changes)...)
}
