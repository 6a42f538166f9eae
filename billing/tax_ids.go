package billing

import (
	"regexp"
	"strings"
)

// CodeInvalidTaxID refuses a tax number whose format is not its kind's.
const CodeInvalidTaxID = "invalid_tax_id"

// taxFormat is the standard format of one kind of tax number in one country.
type taxFormat struct {
	// kind is Stripe's name, country ISO 3166-1 alpha-2; "" for numbers of no country.
	kind, country string
	// form is matched by the number in capitals, without spaces.
	form *regexp.Regexp
	// example is Stripe's own.
	example string
}

// taxFormats are the formats that Stripe lists, by the examples at
// https://docs.stripe.com/billing/customer/tax-ids, and for VAT numbers of the
// European Union those at https://ec.europa.eu/taxation_customs/vies/#/faq (question
// 11), which say how many digits and letters each country has. Whether a number is
// somebody's is not looked into. Nothing writes to it.
var taxFormats = buildTaxFormats([]struct{ kind, country, form, example string }{
	{"ae_trn", "AE", `\d{15}`, "123456789012345"},
	{"au_abn", "AU", `\d{11}`, "12345678912"},
	{"au_arn", "AU", `\d{12}`, "123456789123"},
	{"bg_uic", "BG", `\d{9}`, "123456789"},
	{"br_cnpj", "BR", `\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}`, "01.234.456/5432-10"},
	{"br_cpf", "BR", `\d{3}\.\d{3}\.\d{3}-\d{2}`, "123.456.789-87"},
	{"ca_bn", "CA", `\d{9}`, "123456789"},
	{"ca_gst_hst", "CA", `\d{9}RT\d{4}`, "123456789RT0002"},
	{"ca_pst_bc", "CA", `PST-\d{4}-\d{4}`, "PST-1234-5678"},
	{"ca_pst_mb", "CA", `\d{6}-\d`, "123456-7"},
	{"ca_pst_sk", "CA", `\d{7}`, "1234567"},
	{"ca_qst", "CA", `\d{10}TQ\d{4}`, "1234567890TQ1234"},
	{"ch_vat", "CH", `CHE-?\d{3}\.?\d{3}\.?\d{3}(MWST|TVA|IVA)`, "CHE-123.456.789 MWST"},
	{"cl_tin", "CL", `\d{1,2}\.\d{3}\.\d{3}-[\dK]`, "12.345.678-K"},
	{"co_nit", "CO", `\d{3}\.\d{3}\.\d{3}-\d`, "123.456.789-0"},
	{"es_cif", "ES", `[A-Z]\d{7}[A-Z\d]`, "A12345678"},
	{"eu_oss_vat", "", `EU\d{9}`, "EU123456789"},
	{"eu_vat", "AT", `ATU\d{8}`, "ATU12345678"},
	{"eu_vat", "BE", `BE[01]\d{9}`, "BE0123456789"},
	{"eu_vat", "BG", `BG\d{9,10}`, "BG0123456789"},
	{"eu_vat", "CY", `CY\d{8}[A-Z]`, "CY12345678Z"},
	{"eu_vat", "CZ", `CZ\d{8,10}`, "CZ1234567890"},
	{"eu_vat", "DE", `DE\d{9}`, "DE123456789"},
	{"eu_vat", "DK", `DK\d{8}`, "DK12345678"},
	{"eu_vat", "EE", `EE\d{9}`, "EE123456789"},
	{"eu_vat", "ES", `ES[A-Z\d]\d{7}[A-Z\d]`, "ESA1234567Z"},
	{"eu_vat", "FI", `FI\d{8}`, "FI12345678"},
	{"eu_vat", "FR", `FR[A-Z\d]{2}\d{9}`, "FRAB123456789"},
	{"eu_vat", "GR", `EL\d{9}`, "EL123456789"},
	{"eu_vat", "HR", `HR\d{11}`, "HR12345678912"},
	{"eu_vat", "HU", `HU\d{8}`, "HU12345678"},
	{"eu_vat", "IE", `IE(\d{7}[A-Z]{1,2}|\d[A-Z+*]\d{5}[A-Z])`, "IE1234567AB"},
	{"eu_vat", "IT", `IT\d{11}`, "IT12345678912"},
	{"eu_vat", "LT", `LT(\d{9}|\d{12})`, "LT123456789123"},
	{"eu_vat", "LU", `LU\d{8}`, "LU12345678"},
	{"eu_vat", "LV", `LV\d{11}`, "LV12345678912"},
	{"eu_vat", "MT", `MT\d{8}`, "MT12345678"},
	{"eu_vat", "NL", `NL\d{9}B\d{2}`, "NL123456789B12"},
	{"eu_vat", "PL", `PL\d{10}`, "PL1234567890"},
	{"eu_vat", "PT", `PT\d{9}`, "PT123456789"},
	{"eu_vat", "RO", `RO\d{2,10}`, "RO1234567891"},
	{"eu_vat", "SE", `SE\d{12}`, "SE123456789123"},
	{"eu_vat", "SI", `SI\d{8}`, "SI12345678"},
	{"eu_vat", "SK", `SK\d{10}`, "SK1234567891"},
	{"eu_vat", "GB", `XI\d{9}(\d{3})?`, "XI123456789"}, // Northern Ireland
	{"gb_vat", "GB", `GB(\d{9}(\d{3})?|(GD|HA)\d{3})`, "GB123456789"},
	{"hk_br", "HK", `\d{8}`, "12345678"},
	{"hu_tin", "HU", `\d{8}-\d-\d{2}`, "12345678-1-23"},
	{"id_npwp", "ID", `\d{2}\.\d{3}\.\d{3}\.\d-\d{3}\.\d{3}`, "12.345.678.9-012.345"},
	{"il_vat", "IL", `\d{9}`, "123456789"},
	{"in_gst", "IN", `\d{2}[A-Z]{5}\d{4}[A-Z][A-Z\d]{3}`, "12ABCDE3456FGZH"},
	{"is_vat", "IS", `\d{5,6}`, "123456"},
	{"jp_cn", "JP", `\d{13}`, "1234567891234"},
	{"jp_rn", "JP", `\d{5}`, "12345"},
	{"jp_trn", "JP", `T\d{13}`, "T1234567891234"},
	{"ke_pin", "KE", `[AP]\d{9}[A-Z]`, "P000111111A"},
	{"kr_brn", "KR", `\d{3}-\d{2}-\d{5}`, "123-45-67890"},
	{"li_uid", "LI", `CHE\d{9}`, "CHE123456789"},
	{"mx_rfc", "MX", `[A-ZÑ&]{3,4}\d{6}[A-Z\d]{3}`, "ABC010203AB9"},
	{"my_sst", "MY", `[A-Z]\d{2}-\d{4}-\d{8}`, "A12-3456-78912345"},
	{"no_vat", "NO", `\d{9}MVA`, "123456789MVA"},
	{"no_voec", "NO", `VOEC\d{7}`, "VOEC1234567"},
	{"nz_gst", "NZ", `\d{8,9}`, "123456789"},
	{"ph_tin", "PH", `\d{9}(\d{3})?`, "123456789012"},
	{"ro_tin", "RO", `\d{13}`, "1234567890123"},
	{"rs_pib", "RS", `\d{9}`, "123456789"},
	{"sa_vat", "SA", `\d{15}`, "123456789012345"},
	{"sg_gst", "SG", `[A-Z]\d{8}[A-Z]`, "M12345678X"},
	{"sg_uen", "SG", `\d{8,9}[A-Z]|[A-Z]\d{2}[A-Z]{2}\d{4}[A-Z]`, "123456789F"},
	{"si_tin", "SI", `\d{8}`, "12345678"},
	{"th_vat", "TH", `\d{13}`, "1234567891234"},
	{"tr_tin", "TR", `\d{10}`, "0123456789"},
	{"tw_vat", "TW", `\d{8}`, "12345678"},
	{"ua_vat", "UA", `\d{12}`, "123456789012"},
	{"us_ein", "US", `\d{2}-\d{7}`, "12-3456789"},
	{"za_vat", "ZA", `4\d{9}`, "4123456789"},
})

func buildTaxFormats(rows []struct{ kind, country, form, example string }) []taxFormat {
	formats := make([]taxFormat, len(rows))
	for i, row := range rows {
		formats[i] = taxFormat{kind: row.kind, country: row.country, form: regexp.MustCompile(`^(?:` + row.form + `)$`), example: row.example}
	}
	return formats
}

// CheckTaxID refuses a tax number that is not in the standard format of its kind
// (R41). Other kinds and formats are set by support alone (R42). The error is a
// [*Refusal] with code invalid_tax_id and doesn't hold the number.
func CheckTaxID(kind, value string) error {
	number := strings.ToUpper(withoutSpaces(value))
	var examples []string
	for _, f := range taxFormats {
		if f.kind != kind {
			continue
		}
		if f.form.MatchString(number) {
			return nil
		}
		examples = append(examples, f.example)
	}
	const bySupport = " If yours differs, ask support to set it."
	if examples == nil {
		return &Refusal{Code: CodeInvalidTaxID, Message: "This kind of tax ID can't be set here." + bySupport}
	}
	return &Refusal{Code: CodeInvalidTaxID, Message: "The tax ID is not in the format of its kind, such as " +
		strings.Join(examples[:min(len(examples), 3)], ", ") + "." + bySupport}
}
