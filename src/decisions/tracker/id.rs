//! Ids of records: UUID version 7 (RFC 9562), which sort by the time they were made.

use crate::words::time::UnixMillis;

/// Where new ids come from. The implementation brings the randomness; the tracker has none of its own.
pub trait IdSource {
    /// A fresh UUID v7 for a record made at `at`; never the same twice, [`uuid_v7`] writes it.
    fn uuid_v7(&mut self, at: UnixMillis) -> String;
}

/// The UUID v7 of a moment and 16 random bytes, of which 74 bits are used (RFC 9562, 5.7).
pub fn uuid_v7(at: UnixMillis, random: [u8; 16]) -> String {
    const TIME_BITS: u32 = 48;
    let ms = u128::from(at.0.max(0).unsigned_abs()) & ((1 << TIME_BITS) - 1);
    let random = u128::from_be_bytes(random);
    let version = 7 << 76;
    let variant = 0b10 << 62;
    let rand_a = random & (0xfff << 64);
    let rand_b = random & ((1 << 62) - 1);
    let bits = (ms << 80) | version | rand_a | variant | rand_b;
    let group = |shift: u32, bits_wide: u32| (bits >> shift) & ((1 << bits_wide) - 1);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        group(96, 32),
        group(80, 16),
        group(64, 16),
        group(48, 16),
        group(0, 48)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_example_of_rfc_9562() {
        // RFC 9562, A.6: unix_ts_ms 0x017F22E279B0, rand_a 0xCC3, rand_b 0x18C4DC0C0C07398F.
        let mut random = [0; 16];
        random[6..8].copy_from_slice(&0x0cc3_u16.to_be_bytes());
        random[8..16].copy_from_slice(&0x18c4_dc0c_0c07_398f_u64.to_be_bytes());
        assert_eq!(uuid_v7(UnixMillis(0x017f_22e2_79b0), random), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    }

    #[test]
    fn version_and_variant_stand_whatever_the_random_bytes_are() {
        for byte in [0x00, 0x55, 0xff] {
            let id = uuid_v7(UnixMillis(-5), [byte; 16]);
            assert_eq!(id.len(), 36);
            assert!(id.starts_with("00000000-0000-7"));
            assert!(id.get(19..20).is_some_and(|variant| "89ab".contains(variant)), "{id}");
        }
    }
}
