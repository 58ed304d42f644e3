//! How much work an expression can make, before it is evaluated.

/// Steps, by the number of entries in the largest list or table that comes in: a polynomial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost([u64; 4]);

impl Cost {
    pub(super) const ONE: Self = Self([1, 0, 0, 0]);
    /// One for each entry.
    pub(super) const EACH: Self = Self([0, 1, 0, 0]);

    pub(super) fn of(count: usize) -> Self {
        Self([count as u64, 0, 0, 0])
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let mut sum = self.0;
        for (one, other) in sum.iter_mut().zip(other.0) {
            *one = one.saturating_add(other);
        }
        Self(sum)
    }

    pub(super) fn times(self, other: Self) -> Self {
        let mut sum = Self([0; 4]);
        // From the highest power down, as numbers are multiplied by hand.
        for factor in self.0.into_iter().rev() {
            sum = sum.raised().plus(Self(other.0.map(|one| one.saturating_mul(factor))));
        }
        sum
    }

    /// What would need a higher power is as good as endless.
    fn raised(self) -> Self {
        let [constant, linear, square, cube] = self.0;
        let beyond = if cube == 0 { 0 } else { u64::MAX };
        Self([0, constant, linear, square.saturating_add(beyond)])
    }

    /// Whether it grows no faster than the third power.
    pub(super) fn is_bounded(self) -> bool {
        self.0.iter().all(|factor| *factor < u64::MAX)
    }

    pub(super) fn at(self, size: usize) -> u64 {
        let size = size as u64;
        self.0
            .iter()
            .rev()
            .fold(0, |sum: u64, factor| sum.saturating_mul(size).saturating_add(*factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_add_up_and_multiply() {
        let linear = Cost::of(2).plus(Cost::EACH);
        assert_eq!(linear.at(10), 12);
        let square = linear.times(linear);
        assert_eq!(square.at(10), 144);
        assert_eq!(square.times(linear).at(10), 1728);
        assert!(square.times(linear).is_bounded());
        assert!(!square.times(square).is_bounded());
        assert_eq!(square.times(linear).at(usize::MAX), u64::MAX);
    }
}
