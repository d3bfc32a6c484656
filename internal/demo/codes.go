package demo

import (
	"context"
	"encoding/base64"
	"errors"
	"path/filepath"
)

// posterLabel is the label of a second code that each advisor has: it hangs in the shop's window.
const posterLabel = "橱窗海报"

// posterFile is the picture of the first advisor's, in the data folder.
const posterFile = "poster-" + posterOf + ".svg"

const posterOf = "advisor-1"

// setUpPosters makes the codes in the window, or what of them is missing, and a picture of one.
func (s *shop) setUpPosters(ctx context.Context) error {
	integration := s.bearers[integrationName]
	type code struct {
		ID, Scene string
		Advisor   struct{ ExternalID string }
	}
	const fields = ` id scene advisor { externalId } `
	var found struct{ QRCodes struct{ Nodes []code } }
	if err := integration.ask(ctx, `query($label: String) { qrCodes(first: 200, filter: {label: $label}) { nodes {`+fields+`} } }`, vars{"label": posterLabel}, &found); err != nil {
		return err
	}
	codes := map[string]code{}
	for _, c := range found.QRCodes.Nodes {
		codes[c.Advisor.ExternalID] = c
	}
	var wanted []vars
	for n := 1; n <= advisorCount; n++ {
		if codes[advisorName(n)].ID == "" {
			wanted = append(wanted, vars{"owner": vars{"advisor": vars{"openid": advisorOpenID(n)}}, "label": posterLabel})
		}
	}
	if len(wanted) > 0 {
		var out struct {
			CreateQRCodes struct{ Results []struct{ QRCode *code } }
		}
		err := integration.ask(ctx, `mutation($input: CreateQRCodesInput!) { createQRCodes(input: $input) { results { qrCode {`+fields+`} } } }`,
			vars{"input": vars{"codes": wanted}}, &out)
		if err != nil {
			return err
		}
		for _, r := range out.CreateQRCodes.Results {
			if r.QRCode == nil {
				return errors.New("a code was not made")
			}
			codes[r.QRCode.Advisor.ExternalID] = *r.QRCode
		}
	}
	for name, c := range codes {
		s.posters[name] = c.Scene
	}
	var picture struct{ QRCodePicture struct{ Data string } }
	err := integration.ask(ctx, `query($id: ID!) { qrCodePicture(codeId: $id, format: SVG) { data } }`, vars{"id": codes[posterOf].ID}, &picture)
	if err != nil {
		return err
	}
	svg, err := base64.StdEncoding.DecodeString(picture.QRCodePicture.Data)
	if err != nil {
		return err
	}
	return write(s.folder.poster(), svg)
}

func (f *folder) poster() string { return filepath.Join(f.path, posterFile) }

// sceneOf is the scene of the code that somebody scans: of an advisor's, every third customer takes the one
// in the window.
func (s *shop) sceneOf(step Step) string {
	const everyThird = 3
	if scene := s.posters[step.Code]; scene != "" && step.Customer%everyThird == 0 {
		return scene
	}
	return s.scenes[step.Code]
}
