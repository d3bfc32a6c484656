package models

import "testing"

// Ensure who is named by a column is told by its name (rule E11).
func TestAdvisorColumns(t *testing.T) {
	for column, text := range map[string]string{
		columnAdvisorID: "YWQBoiFjDIp9AKWBAbcZInOA", columnAdvisorOpenID: "o", columnAdvisorUnionID: "u", columnAdvisorWechatID: "w", columnAdvisorExternal: "e", "": "",
	} {
		a, err := readAdvisor(func(name string) string {
			if name == column {
				return text
			}
			return ""
		})
		if err != nil || a.Column() != column || a.IsZero() != (column == "") {
			t.Errorf("%s: %+v, %v", column, a, err)
		}
	}
}
