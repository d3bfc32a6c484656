package resolvers

import (
	"fmt"

	"clientele/graph"
	"clientele/limits"
	"clientele/models"
	"clientele/services"
)

// label decodes a label that a filter names; null: none is.
func label(in *string, field string) (string, error) {
	if in == nil {
		return "", nil
	}
	return models.CheckName(*in, field, limits.CodeLabelRunes)
}

// codeOwner decodes what a code leads to.
func codeOwner(in graph.QRCodeOwnerRef, field string) (ref services.CodeOwnerRef, err error) {
	if err := oneOf(field, in.Advisor != nil, in.GroupID != nil); err != nil {
		return ref, err
	}
	if in.Advisor != nil {
		a, err := advisorRef(*in.Advisor, field+".advisor")
		ref.Advisor = &a
		return ref, err
	}
	ref.Group, err = key(*in.GroupID, models.KindGroup, field+".groupId")
	return ref, err
}

// codeFilter decodes which codes are asked for; null: all.
func codeFilter(in *graph.QRCodeFilter) (f services.QRCodeFilter, err error) {
	if in == nil {
		return f, nil
	}
	if in.Owner != nil {
		owner, err := codeOwner(*in.Owner, "filter.owner")
		if err != nil {
			return f, err
		}
		f.Owner = &owner
	}
	f.Label, err = label(in.Label, "filter.label")
	return f, err
}

// scanFilter decodes which scans are asked for; null: all.
func scanFilter(in *graph.ScanFilter) (f services.ScanFilter, err error) {
	if in == nil {
		return f, nil
	}
	if in.Customer != nil {
		ref, err := customerRef(*in.Customer, "filter.customer")
		if err != nil {
			return f, err
		}
		f.Customer = &ref
	}
	if in.CodeID != nil {
		if f.Code, err = key(*in.CodeID, models.KindQRCode, "filter.codeId"); err != nil {
			return f, err
		}
	}
	f.Outcome = value(in.Outcome)
	f.Label, err = label(in.Label, "filter.label")
	return f, err
}

// newCodes decodes the codes to make.
func newCodes(in []*graph.QRCodeInput) (codes []services.NewCode, err error) {
	codes = make([]services.NewCode, len(in))
	for i, one := range in {
		codes[i] = services.NewCode{Label: one.Label, LifeSeconds: one.LifeSeconds}
		if codes[i].Owner, err = codeOwner(*one.Owner, fmt.Sprintf("input.codes.%d.owner", i)); err != nil {
			return nil, err
		}
	}
	return codes, nil
}
