package services

import (
	"cmp"
	"encoding/json"
	"slices"

	"clientele/internal/linefile"
	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// importMessagesJob reads a file of past messages (rule E11, ADR 0032), a chunk of limits.ImportRecords a transaction.
type importMessagesJob struct{}

// importMessagesWork is what such a job is asked for.
type importMessagesWork struct {
	Import  models.Key `json:"import"`
	Records int64      `json:"records"`
	Size    int64      `json:"size"`
}

// importMessagesPlace is how far such a job has come: the byte that it goes on with, how many records stand before
// it, and how its reader stands there.
type importMessagesPlace struct {
	importPlace
	Reader linefile.Reader `json:"reader"`
}

func newImportMessagesWork(i *models.Import) (*importMessagesWork, error) {
	var census linefile.Census
	if err := json.Unmarshal([]byte(i.Census), &census); err != nil {
		return nil, err
	}
	if census.End() == 0 {
		return nil, models.Invalid("input.importId", "the file has no record")
	}
	return &importMessagesWork{Import: i.Key, Records: census.End(), Size: i.Size}, nil
}

// Total implements jobKind.
func (importMessagesJob) Total(_ *store.Reader, job *models.Job) (int64, error) {
	var work importMessagesWork
	err := json.Unmarshal([]byte(job.Parameters), &work)
	return work.Records, err
}

// Step implements jobKind.
func (importMessagesJob) Step(tx *store.Tx, job *models.Job) (items []models.ItemResult, last bool, err error) {
	var work importMessagesWork
	if err := json.Unmarshal([]byte(job.Parameters), &work); err != nil {
		return nil, false, err
	}
	var at importMessagesPlace
	if job.Cursor != "" {
		if err := json.Unmarshal([]byte(job.Cursor), &at); err != nil {
			return nil, false, err
		}
	}
	account, err := tx.Reader.Account(tx.Account)
	if err != nil {
		return nil, false, err
	}
	data, err := nextBytes(tx, account, work.Import, at.At, work.Size)
	if err != nil {
		return nil, false, err
	}
	b := &messageBatch{tx: tx, account: account}
	items = b.read(&work, data, &at)
	if err := b.write(items); err != nil {
		return nil, false, err
	}
	for i := range items {
		if bad := items[i].Err; bad != nil {
			items[i].Err = bad.OfRecord(at.Records - int64(len(items)) + int64(i) + 1)
		}
	}
	job.Cursor, err = passed(tx, work.Import, at.At, at)
	return items, at.At == work.Size, err
}

// pastMessage is a record with its place among the items.
type pastMessage struct {
	models.ImportMessage
	number int64
	item   int
}

// messageBatch is one transaction's worth of past messages. Its statements are as many for one as for
// limits.ImportRecords. It lives for one attempt.
type messageBatch struct {
	tx      *store.Tx
	account *models.Account
	records []*pastMessage

	customers map[models.Ident]*models.Customer // by openid, and by unionid
	advisors  map[models.ImportAdvisor]*models.Advisor
	stored    map[models.Ident]bool
}

// read takes records off the data, moves at behind them, and answers an item for each, with what is wrong with it if that can be
// told already.
func (b *messageBatch) read(work *importMessagesWork, data []byte, at *importMessagesPlace) (items []models.ItemResult) {
	zone, from := b.account.Location(), at.At
	for len(items) < limits.ImportRecords {
		rest := data[at.At-from:]
		line, size, tooLong := at.Reader.Read(rest, limits.ImportRecordBytes, at.At+int64(len(rest)) == work.Size)
		if size == 0 {
			return items
		}
		at.At += int64(size)
		if line == nil && !tooLong {
			continue
		}
		at.Records++
		record := &pastMessage{number: at.Records, item: len(items)}
		bad := models.Invalid("", "the line is longer than %d bytes", limits.ImportRecordBytes)
		if !tooLong {
			record.ImportMessage, bad = models.NewImportMessage(line, zone, b.tx.Now)
		}
		if bad == nil {
			bad = record.CheckAge(b.account, b.tx.Now)
		}
		items = append(items, models.ItemResult{Err: bad})
		if bad == nil {
			b.records = append(b.records, record)
		}
	}
	return items
}

// write deals with the records, in the order of the lock phases. Advisors are read, not locked: a message of theirs changes
// nothing of them.
func (b *messageBatch) write(items []models.ItemResult) error {
	if len(b.records) == 0 {
		return nil
	}
	conversations, err := b.lock()
	if err != nil {
		return err
	}
	var fresh []*models.Message
	changed, told := map[models.Key]*models.Conversation{}, map[models.Key]bool{}
	for _, r := range b.records {
		c, advisor, bad := b.about(r)
		if bad != nil {
			items[r.item].Err = bad
			continue
		}
		items[r.item].Target = c.Key
		dedup := r.Dedup()
		if b.stored[dedup] {
			continue // it was imported before
		}
		b.stored[dedup] = true
		items[r.item].Changed = true
		m := &models.Message{
			AccountID: b.tx.Account, Key: r.Key(r.number), CustomerID: c.Key, AdvisorID: advisor, Direction: r.Direction, Kind: r.Content.Kind,
			Text: r.Content.Text, MediaRef: r.Content.MediaRef, URL: r.Content.URL, Detail: r.Content.Description,
			Latitude: r.Content.Latitude, Longitude: r.Content.Longitude, DedupKey: dedup,
			// It is hidden from later advisors as if it had been stored when it was written (rule E6).
			Status: models.StatusImported, At: r.At, StatusAt: b.tx.Now, CreatedAt: r.At,
		}
		fresh = append(fresh, m)
		conv := conversations[c.Key]
		conv.Remember(m)
		changed[c.Key] = conv
		if !c.AdvisorID.IsZero() {
			told[c.AdvisorID] = true
		}
	}
	slices.SortFunc(fresh, func(x, y *models.Message) int { return cmp.Compare(string(x.Key[:]), string(y.Key[:])) })
	for _, advisor := range keysIn(told) {
		b.tx.Emit(models.Event{Stream: advisor, Kind: models.EventCustomersImported})
	}
	rows := make([]*models.Conversation, 0, len(changed))
	for _, conv := range changed {
		rows = append(rows, conv)
	}
	if err := b.tx.UpdateConversations(rows); err != nil {
		return err
	}
	return b.tx.InsertPastMessages(fresh)
}

// lock finds and locks the customers whom the records name, and reads the advisors, and which messages are stored already.
func (b *messageBatch) lock() (map[models.Key]*models.Conversation, error) {
	var openids, unionids, dedups []models.Ident
	names := advisorNames{}
	for _, r := range b.records {
		if r.OpenID != "" {
			openids = append(openids, r.OpenID)
		} else {
			unionids = append(unionids, r.UnionID)
		}
		dedups = append(dedups, r.Dedup())
		names.add(r.Advisor)
	}
	known, err := b.tx.CustomersByOpenID(b.tx.Account, distinct(openids))
	if err != nil {
		return nil, err
	}
	more, err := b.tx.CustomersByUnionID(b.tx.Account, distinct(unionids))
	if err != nil {
		return nil, err
	}
	first := map[models.Ident]models.Key{} // several may share a unionid: the earliest is meant
	var keys []models.Key
	for _, c := range more {
		if first[c.UnionID].IsZero() {
			first[c.UnionID] = c.Key
		}
	}
	for _, c := range append(known, more...) {
		keys = append(keys, c.Key)
	}
	customers, rows, err := b.tx.LockCustomers(distinct(keys))
	if err != nil {
		return nil, err
	}
	b.customers = make(map[models.Ident]*models.Customer, len(customers))
	conversations := make(map[models.Key]*models.Conversation, len(rows))
	for i, c := range customers {
		if !c.ErasedAt.IsZero() {
			continue // rule E13
		}
		b.customers["o:"+c.OpenID] = c
		if first[c.UnionID] == c.Key {
			b.customers["u:"+c.UnionID] = c
		}
		conversations[c.Key] = rows[i]
	}
	if b.advisors, err = names.read(&b.tx.Reader, b.tx.Account); err != nil {
		return nil, err
	}
	b.stored, err = b.tx.SeenMessages(b.tx.Account, dedups)
	return conversations, err
}

// about is whose message a record is, and who of the advisors wrote or got it; zero: it does not say.
func (b *messageBatch) about(r *pastMessage) (*models.Customer, models.Key, *models.Error) {
	c, field := b.customers["o:"+r.OpenID], "openid"
	if r.OpenID == "" {
		c, field = b.customers["u:"+r.UnionID], "unionid"
	}
	if c == nil {
		return nil, models.Key{}, models.NotFound("customer", field)
	}
	if r.Advisor.IsZero() {
		return c, models.Key{}, nil
	}
	a := b.advisors[r.Advisor]
	if a == nil {
		return nil, models.Key{}, models.NotFound("advisor", r.Advisor.Column())
	}
	return c, a.Key, nil
}

// distinct is a list without its repeats, in no order.
func distinct[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	out := list[:0:0]
	for _, v := range list {
		if !seen[v] {
			seen[v] = true
			out = append(out, v)
		}
	}
	return out
}
