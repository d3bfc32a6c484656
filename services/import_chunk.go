package services

import (
	"encoding/json"

	"clientele/limits"
	"clientele/models"
	"clientele/store"
)

// nextBytes reads the next bytes of a file that a job of the account reads. Errors: CAPABILITY_NOT_ENABLED while that is not open; STATE when
// the file is gone.
func nextBytes(tx *store.Tx, account *models.Account, key models.Key, at, size int64) ([]byte, error) {
	if !account.IsOpen() {
		return nil, models.Errorf(models.CodeCapabilityNotEnabled, "the account's capability is not open")
	}
	data, err := tx.ImportBytes(tx.Account, key, at, limits.ImportWindow)
	if err == nil && len(data) == 0 && at < size {
		err = models.Errorf(models.CodeState, "the file is gone")
	}
	return data, err
}

// passed deletes the parts of a file that a job has read, and answers its place as the job keeps it.
func passed(tx *store.Tx, key models.Key, at int64, place any) (cursor string, err error) {
	// A part that begins so far back has ended.
	if _, err := tx.DeleteImportParts(key, at-limits.ImportPartBytes+1, limits.BatchRows); err != nil {
		return "", err
	}
	text, err := json.Marshal(place)
	return string(text), err
}

// advisorNames are the advisors that records of a file name.
type advisorNames map[models.ImportAdvisor]bool

func (n advisorNames) add(a models.ImportAdvisor) {
	if !a.IsZero() {
		n[a] = true
	}
}

// read finds them, one statement a kind of name; unknown ones are left out.
func (n advisorNames) read(r *store.Reader, account models.Key) (map[models.ImportAdvisor]*models.Advisor, error) {
	var keys []models.Key
	idents := map[store.AdvisorIdent][]models.Ident{}
	for a := range n {
		if !a.Key.IsZero() {
			keys = append(keys, a.Key)
		}
		for column, ident := range map[store.AdvisorIdent]models.Ident{
			store.AdvisorOpenID: a.OpenID, store.AdvisorUnionID: a.UnionID, store.AdvisorWechatID: a.WechatID, store.AdvisorExternalID: a.ExternalID,
		} {
			if ident != "" {
				idents[column] = append(idents[column], ident)
			}
		}
	}
	rows, err := r.Advisors(account, keys)
	if err != nil {
		return nil, err
	}
	more, err := r.AdvisorsByIdents(account, idents)
	return n.of(append(rows, more...)), err
}

// of is advisors by the names that were given.
func (n advisorNames) of(rows []*models.Advisor) map[models.ImportAdvisor]*models.Advisor {
	found := make(map[models.ImportAdvisor]*models.Advisor, len(n))
	for _, a := range rows {
		for _, name := range []models.ImportAdvisor{{Key: a.Key}, {OpenID: a.OpenID}, {UnionID: a.UnionID}, {WechatID: a.WechatID}, {ExternalID: a.ExternalID}} {
			if n[name] {
				found[name] = a
			}
		}
	}
	return found
}
