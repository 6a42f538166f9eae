package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The journal is a row of records. Each is its length, the checksum of that, its
// content, and the checksum of that:
//
//	length uint32 | CRC-32C uint32 | content | CRC-32C uint32
//
// The length has a checksum of its own, so that a damaged one is not taken for a
// record that a crash cut short. A record is a plan, which gets the next number
// from 0, or an entitlement, which names its plan by the number.
const (
	recordPlan        = 'P'
	recordEntitlement = 'E'

	recordHead = 8
	recordTail = 4
	// maxRecord bounds the content of a record. A body is at most 64 KiB, and
	// escaping makes at most six bytes of one.
	maxRecord = 6*maxBodyBytes + 1024

	flagSuspended = 1 << 0
	flagBlocked   = 1 << 1
	// flagSpend says that the lifetime spend follows the time of the change. Records
	// from before there was one lack it.
	flagSpend = 1 << 2
)

var errTorn = errors.New("the end is torn")

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // made once by the package

// appendRecord appends a record whose content is made by fill.
func appendRecord(to []byte, fill func([]byte) []byte) []byte {
	start := len(to)
	to = fill(append(to, make([]byte, recordHead)...))
	content := to[start+recordHead:]
	binary.LittleEndian.PutUint32(to[start:], uint32(len(content)))
	binary.LittleEndian.PutUint32(to[start+4:], crc32.Checksum(to[start:start+4], castagnoli()))
	return binary.LittleEndian.AppendUint32(to, crc32.Checksum(content, castagnoli()))
}

// readRecord reads the content of the next record into buffer, which it returns,
// grown. The error is io.EOF at the end, and errTorn where the last is not whole.
func readRecord(from *bufio.Reader, buffer []byte) ([]byte, error) {
	var head [recordHead]byte
	if _, err := io.ReadFull(from, head[:]); err != nil {
		return nil, torn(err)
	}
	length := binary.LittleEndian.Uint32(head[:])
	if crc32.Checksum(head[:4], castagnoli()) != binary.LittleEndian.Uint32(head[4:]) || length > maxRecord {
		return nil, errors.New("the length is damaged")
	}
	if whole := int(length) + recordTail; cap(buffer) < whole {
		buffer = make([]byte, whole)
	}
	buffer = buffer[:length+recordTail]
	if _, err := io.ReadFull(from, buffer); err != nil {
		return nil, torn(errors.Join(err, io.ErrUnexpectedEOF))
	}
	content := buffer[:length]
	if crc32.Checksum(content, castagnoli()) != binary.LittleEndian.Uint32(buffer[length:]) {
		return nil, errors.New("the content is damaged")
	}
	return content, nil
}

func torn(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTorn
	}
	return err
}

func appendPlan(to []byte, p *plan) ([]byte, error) {
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return appendRecord(to, func(b []byte) []byte { return append(append(b, recordPlan), text...) }), nil
}

// appendHolding appends the record of a holding whose plan has that number.
func appendHolding(to []byte, h *holding, plan uint64) ([]byte, error) {
	var rest []byte
	if h.extra != nil {
		var err error
		if rest, err = json.Marshal(h.extra); err != nil {
			return nil, err
		}
	}
	var flags byte
	if h.suspended {
		flags |= flagSuspended
	}
	if h.blocked {
		flags |= flagBlocked
	}
	if h.spend != 0 {
		flags |= flagSpend
	}
	return appendRecord(to, func(b []byte) []byte {
		b = append(b, recordEntitlement, flags)
		b = binary.AppendUvarint(b, plan)
		b = binary.AppendUvarint(b, uint64(h.version))
		b = binary.AppendVarint(b, h.changedAt)
		if h.spend != 0 {
			b = binary.AppendVarint(b, h.spend)
		}
		b = binary.AppendUvarint(b, uint64(h.idLength))
		b = binary.AppendUvarint(b, uint64(len(h.text)))
		return append(append(b, h.text...), rest...)
	}), nil
}

// records reads the records of one journal.
type records struct {
	plans  *plans
	byID   []*plan
	buffer []byte
}

// next reads records up to the next holding. The error is io.EOF at the end.
func (r *records) next(from *bufio.Reader) (*holding, error) {
	for {
		content, err := readRecord(from, r.buffer)
		if err != nil {
			return nil, err
		}
		r.buffer = content[:0:cap(content)]
		if len(content) == 0 {
			return nil, errors.New("it is empty")
		}
		switch content[0] {
		case recordPlan:
			var p plan
			if err := json.Unmarshal(content[1:], &p); err != nil {
				return nil, fmt.Errorf("plan: %w", err)
			}
			r.byID = append(r.byID, r.plans.shared(p))
		case recordEntitlement:
			return r.holding(content[1:])
		default:
			return nil, fmt.Errorf("there is no kind %q", content[0])
		}
	}
}

// holding reads the content of an entitlement's record.
func (r *records) holding(content []byte) (*holding, error) {
	c := cursor{rest: content}
	flags := c.byte()
	plan, version, changedAt := c.uvarint(), c.uvarint(), c.varint()
	var spend int64
	if flags&flagSpend != 0 {
		spend = c.varint()
	}
	idLength, length := c.uvarint(), c.uvarint()
	text := c.take(length)
	if c.bad || plan >= uint64(len(r.byID)) || idLength > length || idLength == 0 || (length-idLength)%keyBytes != 0 || version == 0 || version>>63 != 0 {
		return nil, errors.New("not an entitlement")
	}
	h := &holding{
		text: string(text), plan: r.byID[plan], version: int64(version), changedAt: changedAt, spend: spend, idLength: uint16(idLength),
		suspended: flags&flagSuspended != 0, blocked: flags&flagBlocked != 0,
	}
	if len(c.rest) > 0 {
		h.extra = &extra{}
		if err := json.Unmarshal(c.rest, h.extra); err != nil {
			return nil, fmt.Errorf("entitlement: %w", err)
		}
	}
	return h, nil
}

// cursor reads the fields of a record; bad says that one was not there.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) byte() byte {
	if b := c.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	c.skip(n)
	return v
}

func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.rest)
	c.skip(n)
	return v
}

func (c *cursor) skip(n int) {
	if n <= 0 {
		c.bad = true
		return
	}
	c.rest = c.rest[n:]
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.bad = true
		return nil
	}
	taken := c.rest[:n]
	c.rest = c.rest[n:]
	return taken
}
