//! Points of the two curves, in Jacobian coordinates.

use ark_ff::Field;

/// A point `(x/z², y/z³)`; with `z` zero the point at infinity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Point<F> {
    pub x: F,
    pub y: F,
    pub z: F,
}

impl<F: Field> Point<F> {
    /// The point at infinity, as the reference writes it.
    pub const fn infinity() -> Self {
        Self { x: F::ZERO, y: F::ZERO, z: F::ZERO }
    }

    pub fn is_infinity(&self) -> bool {
        self.z.is_zero()
    }

    pub fn negated(self) -> Self {
        if self.is_infinity() { Self::infinity() } else { Self { y: -self.y, ..self } }
    }

    pub fn doubled(&self) -> Self {
        if self.is_infinity() {
            return Self::infinity();
        }
        let square = self.y.square();
        let s = (self.x * square).double().double();
        let slope = self.x.square();
        let slope = slope.double() + slope;
        let x = slope.square() - s.double();
        let y = slope * (s - x) - square.square().double().double().double();
        Self { x, y, z: (self.y * self.z).double() }
    }

    pub fn plus(&self, other: &Self) -> Self {
        if self.is_infinity() {
            return *other;
        }
        if other.is_infinity() {
            return *self;
        }
        let (own, others) = (self.z.square(), other.z.square());
        let u = self.x * others;
        let s = self.y * others * other.z;
        let h = other.x * own - u;
        let r = other.y * own * self.z - s;
        if h.is_zero() {
            return if r.is_zero() { self.doubled() } else { Self::infinity() };
        }
        let square = h.square();
        let cube = square * h;
        let middle = u * square;
        let x = r.square() - middle.double() - cube;
        Self { x, y: r * (middle - x) - s * cube, z: self.z * other.z * h }
    }

    pub fn minus(&self, other: &Self) -> Self {
        self.plus(&other.negated())
    }
}

/// The point with `z` one; the point at infinity as it is.
pub(crate) fn normalized<F: Field>(point: Point<F>) -> Point<F> {
    match point.z.inverse() {
        None => point,
        Some(inverse) => {
            let square = inverse.square();
            Point { x: point.x * square, y: point.y * square * inverse, z: F::ONE }
        }
    }
}

/// Is the point on the curve `y² = x³ + b`? Whether it is in the subgroup the reference does not ask.
pub(crate) fn is_on_curve<F: Field>(point: &Point<F>, b: F) -> bool {
    let sixth = point.z.square() * point.z;
    let sixth = sixth.square();
    point.is_infinity() || point.y.square() == point.x.square() * point.x + b * sixth
}
