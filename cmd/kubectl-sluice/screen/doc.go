// Package screen shows reports to people: as tables aligned like kubectl's, coloured and drawn in place
// on a terminal, plain everywhere else.
//
// The rule: a report and the time in, lines out; Terminal alone knows where they go. Nothing that came
// from the cluster reaches a terminal unescaped, and a colour never says what the words do not.
package screen
