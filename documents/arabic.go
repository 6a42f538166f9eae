package documents

import "unicode"

// shape is how an Arabic letter is joined: its first form, alone, which the final one
// follows and, where it joins the next letter too, the initial and the medial one.
type shape struct {
	alone rune
	// forms is 1 for a letter that joins none, 2 for one that joins the letter before
	// it alone, and 4.
	forms int
}

// shapes are the letters of Arabic, Persian and Urdu, by Unicode's presentation forms.
var shapes = map[rune]shape{
	'ء': {0xfe80, 1}, 'آ': {0xfe81, 2}, 'أ': {0xfe83, 2}, 'ؤ': {0xfe85, 2}, 'إ': {0xfe87, 2}, 'ئ': {0xfe89, 4}, 'ا': {0xfe8d, 2},
	'ب': {0xfe8f, 4}, 'ة': {0xfe93, 2}, 'ت': {0xfe95, 4}, 'ث': {0xfe99, 4}, 'ج': {0xfe9d, 4}, 'ح': {0xfea1, 4}, 'خ': {0xfea5, 4},
	'د': {0xfea9, 2}, 'ذ': {0xfeab, 2}, 'ر': {0xfead, 2}, 'ز': {0xfeaf, 2}, 'س': {0xfeb1, 4}, 'ش': {0xfeb5, 4}, 'ص': {0xfeb9, 4},
	'ض': {0xfebd, 4}, 'ط': {0xfec1, 4}, 'ظ': {0xfec5, 4}, 'ع': {0xfec9, 4}, 'غ': {0xfecd, 4}, 'ف': {0xfed1, 4}, 'ق': {0xfed5, 4},
	'ك': {0xfed9, 4}, 'ل': {0xfedd, 4}, 'م': {0xfee1, 4}, 'ن': {0xfee5, 4}, 'ه': {0xfee9, 4}, 'و': {0xfeed, 2}, 'ى': {0xfeef, 2},
	'ي': {0xfef1, 4}, 'ٹ': {0xfb66, 4}, 'پ': {0xfb56, 4}, 'چ': {0xfb7a, 4}, 'ڈ': {0xfb88, 2}, 'ژ': {0xfb8a, 2}, 'ڑ': {0xfb8c, 2},
	'ک': {0xfb8e, 4}, 'گ': {0xfb92, 4}, 'ں': {0xfb9e, 2}, 'ہ': {0xfba6, 4}, 'ھ': {0xfbaa, 4}, 'ے': {0xfbae, 2}, 'ی': {0xfbfc, 4},
}

// lamAlef are the letters that lam is written in one with, alone.
var lamAlef = map[rune]rune{'آ': 0xfef5, 'أ': 0xfef7, 'إ': 0xfef9, 'ا': 0xfefb}

const (
	lam     = 'ل'
	tatweel = 'ـ'
)

// joined writes Arabic letters in the forms that they have within a word. Text that has
// none is given back as it is.
func joined(text []rune) []rune {
	out := make([]rune, 0, len(text))
	before := false // the letter before joins what follows it
	for i := 0; i < len(text); i++ {
		r := text[i]
		s, arabic := shapes[r]
		switch {
		case unicode.Is(unicode.Mn, r): // is set on a letter, and parts none
			out = append(out, r)
			continue
		case r == tatweel:
			out, before = append(out, r), true
			continue
		case !arabic:
			out, before = append(out, r), false
			continue
		}
		if r == lam && i+1 < len(text) && lamAlef[text[i+1]] != 0 {
			alef := lamAlef[text[i+1]]
			if before {
				alef++ // the final form
			}
			out, before = append(out, alef), false
			i++
			continue
		}
		form := rune(0)
		if before && s.forms > 1 {
			form = 1
		}
		if next := following(text, i); s.forms == 4 && (next == tatweel || shapes[next].forms > 1) {
			form += 2
			before = true
		} else {
			before = false
		}
		out = append(out, s.alone+form)
	}
	return out
}

// following is the letter behind a place; 0 where there is none.
func following(text []rune, at int) rune {
	for _, r := range text[at+1:] {
		if !unicode.Is(unicode.Mn, r) {
			return r
		}
	}
	return 0
}
