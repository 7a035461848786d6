//! Turns and mirrors: the eight symmetries of a rectangle.
//!
//! EXIF orientation, `rot`, `flip` and `flop` compose, so together they are always one of the eight, and the renderer
//! moves each pixel once.

use std::ops::Sub;

use super::header::Orientation;
use super::shape::{Rect, Size};
use crate::object::spec::QuarterTurns;

/// Swap the axes, then mirror: this expresses each of the eight in exactly one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transform {
    /// First: columns become rows, mirrored at the main diagonal.
    pub swap: bool,
    /// Then: left becomes right.
    pub mirror_x: bool,
    /// Then: top becomes bottom.
    pub mirror_y: bool,
}

/// The orientation, then the turn, then `flip` (top-bottom), then `flop` (left-right), as one transform.
pub fn compose(orientation: Orientation, turn: Option<QuarterTurns>, flip: bool, flop: bool) -> Transform {
    Transform::of_orientation(orientation)
        .then(turn.map_or(Transform::IDENTITY, Transform::of_turn))
        .then(if flip { Transform::FLIP } else { Transform::IDENTITY })
        .then(if flop { Transform::FLOP } else { Transform::IDENTITY })
}

impl Transform {
    /// No change.
    pub const IDENTITY: Self = Self::new(false, false, false);
    /// Top becomes bottom.
    pub const FLIP: Self = Self::new(false, false, true);
    /// Left becomes right.
    pub const FLOP: Self = Self::new(false, true, false);

    /// The transform that shows an image of this orientation upright.
    pub const fn of_orientation(orientation: Orientation) -> Self {
        match orientation.value() {
            2 => Self::new(false, true, false),
            3 => Self::new(false, true, true),
            4 => Self::new(false, false, true),
            5 => Self::new(true, false, false),
            6 => Self::new(true, true, false),
            7 => Self::new(true, true, true),
            8 => Self::new(true, false, true),
            _ => Self::IDENTITY,
        }
    }

    /// A clockwise turn.
    pub const fn of_turn(turn: QuarterTurns) -> Self {
        match turn {
            QuarterTurns::Quarter => Self::new(true, true, false),
            QuarterTurns::Half => Self::new(false, true, true),
            QuarterTurns::ThreeQuarters => Self::new(true, false, true),
        }
    }

    /// This transform first, then `next`, as one.
    #[must_use]
    pub const fn then(self, next: Self) -> Self {
        // A mirror before a swap of the axes equals a mirror of the other axis after the swap.
        let (mirror_x, mirror_y) =
            if next.swap { (self.mirror_y, self.mirror_x) } else { (self.mirror_x, self.mirror_y) };
        Self::new(self.swap != next.swap, mirror_x != next.mirror_x, mirror_y != next.mirror_y)
    }

    /// The inverse.
    #[must_use]
    pub const fn inverse(self) -> Self {
        // The inverse mirrors before it swaps, and the swap exchanges the axes of the mirrors.
        if self.swap { Self::new(true, self.mirror_y, self.mirror_x) } else { self }
    }

    /// The size of an image of this size after the transform; also the size before it, given the size after it.
    pub const fn size(self, size: Size) -> Size {
        if self.swap { size.swapped() } else { size }
    }

    /// The place of a rectangle of the transformed image in the image before the transform, so that a renderer can cut
    /// first and turn fewer pixels. `transformed` is the size of the transformed image. Exact, for windows too: they
    /// lie on the grid of a plan's window.
    ///
    /// # Panics
    /// When the rectangle is not inside the transformed image; every plan's rectangle is.
    pub fn untransform<T>(self, rect: Rect<T>, transformed: Size) -> Rect<T>
    where
        T: Copy + PartialOrd + Sub<Output = T> + From<u32>,
    {
        let Rect { x, y, width, height } = rect;
        let x = mirrored(self.mirror_x, x, width, T::from(transformed.width));
        let y = mirrored(self.mirror_y, y, height, T::from(transformed.height));
        if self.swap {
            Rect { x: y, y: x, width: height, height: width }
        } else {
            Rect { x, y, width, height }
        }
    }

    /// The place, before the transform, of `rect` extended by `right` and `bottom`, which are measured after the
    /// transform. It may reach beyond the image.
    pub fn grown(self, rect: Rect<f64>, right: f64, bottom: f64) -> Rect<f64> {
        let (x, y) = (if self.mirror_x { -right } else { 0.0 }, if self.mirror_y { -bottom } else { 0.0 });
        let (x, y, right, bottom) = if self.swap { (y, x, bottom, right) } else { (x, y, right, bottom) };
        Rect { x: rect.x + x, y: rect.y + y, width: rect.width + right, height: rect.height + bottom }
    }

    const fn new(swap: bool, mirror_x: bool, mirror_y: bool) -> Self {
        Self { swap, mirror_x, mirror_y }
    }
}

/// The start of a range on a side; counted from the other end if `mirror` is set.
fn mirrored<T: Copy + PartialOrd + Sub<Output = T>>(mirror: bool, start: T, length: T, side: T) -> T {
    assert!(length <= side && start <= side - length, "a rectangle lies inside its image");
    if mirror { side - length - start } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of numbers.
    type Grid = Vec<Vec<u32>>;

    const TURNS: [Option<QuarterTurns>; 4] =
        [None, Some(QuarterTurns::Quarter), Some(QuarterTurns::Half), Some(QuarterTurns::ThreeQuarters)];

    const SIZE: Size = Size { width: 3, height: 2 };

    fn grid() -> Grid {
        vec![vec![1, 2, 3], vec![4, 5, 6]]
    }

    fn transpose(grid: &Grid) -> Grid {
        (0..grid[0].len()).map(|column| grid.iter().map(|row| row[column]).collect()).collect()
    }

    fn flip(grid: &Grid) -> Grid {
        grid.iter().rev().cloned().collect()
    }

    fn flop(grid: &Grid) -> Grid {
        grid.iter().map(|row| row.iter().rev().copied().collect()).collect()
    }

    /// Clockwise: the first column, read upwards, becomes the first row.
    fn quarter(grid: &Grid) -> Grid {
        transpose(&flip(grid))
    }

    fn turned(grid: &Grid, turn: Option<QuarterTurns>) -> Grid {
        let quarters = TURNS.iter().position(|known| *known == turn).unwrap();
        (0..quarters).fold(grid.clone(), |grid, _| quarter(&grid))
    }

    /// By the EXIF standard: the place at which the stored first row and first column are shown.
    fn upright(grid: &Grid, orientation: u32) -> Grid {
        match orientation {
            1 => grid.clone(),
            2 => flop(grid),
            3 => flop(&flip(grid)),
            4 => flip(grid),
            5 => transpose(grid),
            6 => quarter(grid),
            7 => flop(&flip(&transpose(grid))),
            _ => quarter(&quarter(&quarter(grid))),
        }
    }

    fn apply(transform: Transform, grid: &Grid) -> Grid {
        let mut grid = if transform.swap { transpose(grid) } else { grid.clone() };
        if transform.mirror_x {
            grid = flop(&grid);
        }
        if transform.mirror_y {
            grid = flip(&grid);
        }
        grid
    }

    /// Every orientation, turn, flip and flop.
    fn each(mut check: impl FnMut(u32, Option<QuarterTurns>, bool, bool)) {
        for orientation in 1..=8 {
            for turn in TURNS {
                for mirrors in 0..4 {
                    check(orientation, turn, mirrors & 1 == 1, mirrors & 2 == 2);
                }
            }
        }
    }

    #[test]
    fn a_quarter_turn_is_clockwise() {
        let quarter = Transform::of_turn(QuarterTurns::Quarter);
        assert_eq!(apply(quarter, &grid()), [[4, 1], [5, 2], [6, 3]]);
        assert_eq!(Transform::of_orientation(Orientation::from_exif(6)), quarter);
    }

    #[test]
    fn composing_equals_one_step_after_the_other() {
        each(|orientation, turn, with_flip, with_flop| {
            let mut expected = turned(&upright(&grid(), orientation), turn);
            if with_flip {
                expected = flip(&expected);
            }
            if with_flop {
                expected = flop(&expected);
            }
            let whole = compose(Orientation::from_exif(orientation), turn, with_flip, with_flop);
            assert_eq!(apply(whole, &grid()), expected, "{orientation} {turn:?} {with_flip} {with_flop}");
        });
    }

    #[test]
    fn the_inverse_leads_back() {
        each(|orientation, turn, with_flip, with_flop| {
            let whole = compose(Orientation::from_exif(orientation), turn, with_flip, with_flop);
            assert_eq!(apply(whole.inverse(), &apply(whole, &grid())), grid());
        });
    }

    #[test]
    fn the_size_follows_the_grid() {
        each(|orientation, turn, with_flip, with_flop| {
            let whole = compose(Orientation::from_exif(orientation), turn, with_flip, with_flop);
            let after = apply(whole, &grid());
            let size = Size { width: after[0].len() as u32, height: after.len() as u32 };
            assert_eq!(whole.size(SIZE), size);
            assert_eq!(whole.swap, size == SIZE.swapped());
        });
    }

    fn cut(grid: &Grid, rect: Rect<u32>) -> Grid {
        let rows = grid.iter().skip(rect.y as usize).take(rect.height as usize);
        rows.map(|row| row.iter().skip(rect.x as usize).take(rect.width as usize).copied().collect())
            .collect()
    }

    #[test]
    fn cutting_before_the_transform_equals_cutting_after_it() {
        each(|orientation, turn, with_flip, with_flop| {
            let whole = compose(Orientation::from_exif(orientation), turn, with_flip, with_flop);
            let after = whole.size(SIZE);
            let Size { width: across, height: down } = after;
            for (x, y) in (0..across).flat_map(|x| (0..down).map(move |y| (x, y))) {
                for (width, height) in (1..=across - x).flat_map(|w| (1..=down - y).map(move |h| (w, h))) {
                    let rect = Rect { x, y, width, height };
                    let before = whole.untransform(rect, after);
                    assert_eq!(apply(whole, &cut(&grid(), before)), cut(&apply(whole, &grid()), rect));
                }
            }
        });
    }

    #[test]
    fn windows_go_back_like_rectangles() {
        let window = Rect { x: 0.5, y: 0.25, width: 1.5, height: 1.0 };
        let before = Transform::of_turn(QuarterTurns::Quarter).untransform(window, SIZE.swapped());
        assert_eq!(before, Rect { x: 0.25, y: 0.0, width: 1.0, height: 1.5 });
    }
}
