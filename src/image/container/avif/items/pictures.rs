//! The items that belong to a picture: their data, their alpha, their metadata.

use super::*;

impl Items {
    /// The coding of an item; a grid has the coding of its first tile.
    pub(in super::super) fn coding(&self, item: u32) -> Result<Coding, MetaFault> {
        let coded = self.tiles(item).and_then(|tiles| tiles.first().copied()).unwrap_or(item);
        let coding = self.properties(coded)?.into_iter().find_map(|property| match property {
            Property::Coding(coding) | Property::Hevc(coding, _) => Some(*coding),
            _ => None,
        });
        coding.ok_or(MetaFault::NoPicture)
    }

    /// The codec of an item; a grid has the codec of its first tile.
    pub(in super::super) fn codec(&self, item: u32) -> Result<Codec, MetaFault> {
        let tile = || self.tiles(item).and_then(|tiles| tiles.first().copied());
        let coded = if self.kind(item) == Some(ItemKind::Grid) { tile() } else { Some(item) };
        match self.kind(coded.ok_or(MetaFault::NoPicture)?) {
            Some(ItemKind::Av1) => Ok(Codec::Av1),
            Some(ItemKind::Hevc) => Ok(Codec::Hevc),
            Some(_) => Err(MetaFault::Unsupported),
            None => Err(MetaFault::NoPicture),
        }
    }

    /// The data of a coded picture; see [`Codec`].
    fn coded(&self, item: u32, codec: Codec) -> Result<DataRanges, MetaFault> {
        if self.codec(item)? != codec {
            return Err(MetaFault::Unsupported);
        }
        let data = self.data(item)?;
        if codec == Codec::Av1 {
            return Ok(data);
        }
        let config = self.properties(item)?.into_iter().find_map(|property| match property {
            Property::Hevc(_, config) => Some(config.clone()),
            _ => None,
        });
        Ok(std::iter::once(config.ok_or(MetaFault::Unsupported)?).chain(data).collect())
    }

    pub(in super::super) fn source(&self, item: u32, codec: Codec) -> Result<AvifSource, MetaFault> {
        match self.kind(item) {
            Some(ItemKind::Av1 | ItemKind::Hevc) => self.coded(item, codec).map(AvifSource::One),
            Some(ItemKind::Grid) => {
                let ids = self.tiles(item).ok_or(MetaFault::NoPicture)?;
                let tile = self.size(*ids.first().ok_or(MetaFault::NoPicture)?)?;
                if ids.len() > TILES_MAX {
                    return Err(MetaFault::Unsupported);
                }
                let tiles: Result<Vec<DataRanges>, MetaFault> =
                    ids.iter().map(|id| self.coded(*id, codec)).collect();
                Ok(AvifSource::Grid { layout: self.data(item)?, tiles: tiles?, tile })
            }
            Some(_) => Err(MetaFault::Unsupported),
            None => Err(MetaFault::NoPicture),
        }
    }

    fn kind(&self, item: u32) -> Option<ItemKind> {
        of_item(&self.kinds, item, |(id, _)| *id).first().map(|(_, kind)| *kind)
    }

    fn tiles(&self, item: u32) -> Option<&[u32]> {
        let tiles =
            self.references.iter().find(|reference| &reference.kind == b"dimg" && reference.from == item);
        tiles.map(|reference| &reference.to[..])
    }

    fn data(&self, item: u32) -> Result<DataRanges, MetaFault> {
        let (_, place) = of_item(&self.places, item, |(id, _)| *id).first().ok_or(MetaFault::NoPicture)?;
        if let ItemPlace::File(data) | ItemPlace::Inner(data) = place {
            self.step(data.len())?;
        }
        let data = match place {
            ItemPlace::File(data) => data.clone(),
            ItemPlace::Inner(data) => {
                let inner = self.inner.as_ref().ok_or(MetaFault::NoPicture)?;
                let moved = |piece: &Range<u64>| {
                    let (begin, end) =
                        (inner.start.checked_add(piece.start)?, inner.start.checked_add(piece.end)?);
                    (end <= inner.end).then_some(begin..end)
                };
                data.iter().map(moved).collect::<Option<_>>().ok_or(MetaFault::Boxes)?
            }
            ItemPlace::Other => return Err(MetaFault::Unsupported),
        };
        // A length of zero would mean the rest of the file, which no writer uses.
        if data.is_empty() || data.iter().any(Range::is_empty) {
            return Err(MetaFault::NoPicture);
        }
        Ok(data)
    }

    /// The item that is declared as the alpha of this one.
    pub(in super::super) fn alpha_of(&self, item: u32) -> Result<Option<u32>, MetaFault> {
        let helpers = self
            .references
            .iter()
            .filter(|reference| &reference.kind == b"auxl" && reference.to.contains(&item));
        for helper in helpers.map(|reference| reference.from) {
            match self.properties(helper) {
                Ok(properties) if properties.iter().any(|it| matches!(it, Property::Alpha)) => {
                    return Ok(Some(helper));
                }
                // An auxiliary item that cannot be understood is not alpha; one that is too long is an error.
                Ok(_) | Err(MetaFault::Unsupported) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }

    /// The alpha of a grid whose tiles have their own, in the grid's layout, and whether the colours are multiplied by
    /// it. `None` unless every tile has one.
    pub(in super::super) fn alpha_of_tiles(
        &self,
        item: u32,
        color: &AvifSource,
        codec: Codec,
    ) -> Result<Option<(AvifSource, bool)>, MetaFault> {
        let (AvifSource::Grid { layout, tile, .. }, Some(ids)) = (color, self.tiles(item)) else {
            return Ok(None);
        };
        let alphas: Option<Result<Vec<u32>, MetaFault>> =
            ids.iter().map(|id| self.alpha_of(*id).transpose()).collect();
        let Some(alphas) = alphas.transpose()? else { return Ok(None) };
        let mut tiles = Vec::with_capacity(alphas.len());
        for alpha in &alphas {
            if self.size(*alpha)? != *tile {
                return Err(MetaFault::Unsupported);
            }
            tiles.push(self.coded(*alpha, codec)?);
        }
        let is_premultiplied = ids.iter().zip(&alphas).all(|(id, alpha)| self.refers(b"prem", *id, *alpha));
        Ok(Some((AvifSource::Grid { layout: layout.clone(), tiles, tile: *tile }, is_premultiplied)))
    }

    /// The data of the first item of this kind that describes `item`; `None` as well if its data cannot be found.
    pub(in super::super) fn described_by(&self, item: u32, kind: ItemKind) -> Option<DataRanges> {
        let describing = self
            .references
            .iter()
            .find(|it| &it.kind == b"cdsc" && it.to.contains(&item) && self.kind(it.from) == Some(kind))?;
        self.data(describing.from).ok()
    }

    pub(in super::super) fn refers(&self, kind: &[u8; 4], from: u32, to: u32) -> bool {
        let mut all = self.references.iter();
        all.any(|reference| &reference.kind == kind && reference.from == from && reference.to.contains(&to))
    }
}
