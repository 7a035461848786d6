//! Presets: the meaning of their names in URLs.

use super::parse::check_can_act;
use super::{PresetName, Spec, SpecError, SpecPart, SpecSize};

impl Spec {
    /// The preset that the size part names, if it does.
    pub const fn preset(&self) -> Option<&PresetName> {
        match &self.size {
            SpecSize::Preset(name) => Some(name),
            _ => None,
        }
    }

    /// The spec without presets that this one means: what `find` says of the named preset, where the options after
    /// the name take the place of its own. Options that combine with the preset's are added to them. A spec that
    /// names no preset means itself.
    ///
    /// # Errors
    /// [`SpecError::UnknownPreset`], and [`SpecError::CannotAct`] for an option, of the URL or of the preset, that
    /// does nothing in the whole.
    pub fn expanded<'a>(
        &self,
        find: impl FnOnce(&PresetName) -> Option<&'a Self>,
    ) -> Result<Self, SpecError> {
        let Some(name) = self.preset() else { return Ok(self.clone()) };
        let preset =
            find(name).ok_or_else(|| SpecError::UnknownPreset(SpecPart::new(&self.size.to_string())))?;
        let expanded = self.over(preset);
        check_can_act(&expanded)?;
        Ok(expanded.canonical())
    }

    /// The size of `preset`, and of every option this one's, else that of `preset`.
    fn over(&self, preset: &Self) -> Self {
        Self {
            size: preset.size.clone(),
            fit: self.fit.or(preset.fit),
            gravity: self.gravity.or(preset.gravity),
            dpr: self.dpr.or(preset.dpr),
            up: self.up || preset.up,
            quality: self.quality.or(preset.quality),
            crop: self.crop.or(preset.crop),
            turn: self.turn.or(preset.turn),
            flip: self.flip || preset.flip,
            flop: self.flop || preset.flop,
            blur: self.blur.or(preset.blur),
            sharpen: self.sharpen.or(preset.sharpen),
            grey: self.grey || preset.grey,
            trim: self.trim || preset.trim,
            background: self.background.or(preset.background),
            p3: self.p3 || preset.p3,
            frame: self.frame.or(preset.frame),
            meta: self.meta || preset.meta,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Needs;
    use super::*;

    /// The expansion of `spec`, given that the preset `a` is `preset`.
    fn expanded(spec: &str, preset: &str) -> Result<String, SpecError> {
        let preset = Spec::parse(preset).unwrap();
        let find = |name: &PresetName| (name.as_str() == "a").then_some(&preset);
        Spec::parse(spec).unwrap().expanded(find).map(|spec| spec.to_string())
    }

    #[test]
    fn a_preset_alone_means_what_it_says() {
        for preset in
            ["200s", "full", "9w9h,fill,g-n,dpr2,up,q7,crop-1-2-3-4,rot90,blur1,bg-000000,p3,frame1,meta"]
        {
            assert_eq!(expanded("p-a", preset).unwrap(), preset);
        }
    }

    #[test]
    fn options_after_the_name_take_the_place_of_the_presets() {
        for (spec, preset, meaning) in [
            ("p-a,q7", "200s,q9", "200s,q7"),
            ("p-a,dpr3", "200s,dpr2", "200s,dpr3"),
            ("p-a,dpr1", "200s,dpr2", "200s"),
            ("p-a,g-c", "200s,g-n", "200s"),
            ("p-a,g-x0.1y0.2", "200s,g-n", "200s,g-x0.1y0.2"),
            ("p-a,pad", "9w8h,fill", "9w8h,pad"),
            ("p-a,crop-1-2-3-4", "9w,crop-5-6-7-8", "9w,crop-1-2-3-4"),
            ("p-a,rot90", "9w,rot180", "9w,rot90"),
            ("p-a,blur2", "9w,blur1", "9w,blur2"),
            ("p-a,bg-ffffff", "9w,bg-000000", "9w,bg-ffffff"),
            ("p-a,frame0", "9w,frame1", "9w,frame0"),
        ] {
            assert_eq!(expanded(spec, preset).unwrap(), meaning, "{spec} {preset}");
        }
    }

    #[test]
    fn options_that_combine_are_added() {
        assert_eq!(expanded("p-a,flip", "9w,rot90,flop").unwrap(), "9w,rot90,flip,flop");
        assert_eq!(expanded("p-a,sharpen1,trim", "9w,grey,blur2").unwrap(), "9w,blur2,sharpen1,grey,trim");
        assert_eq!(expanded("p-a,up,meta", "9w,q5").unwrap(), "9w,up,q5,meta");
    }

    #[test]
    fn refuses_what_cannot_act_in_the_whole_and_names_it() {
        for (spec, preset, part, needs) in [
            ("p-a,fill", "200s", "fill", Needs::Box),
            ("p-a,dpr2", "full", "dpr2", Needs::Scaling),
            ("p-a,dpr1", "full", "dpr1", Needs::Scaling),
            ("p-a,up", "full", "up", Needs::Scaling),
            ("p-a,g-n", "9w", "g-n", Needs::Cover),
            ("p-a,g-c", "9w9h,pad", "g-c", Needs::Cover),
            ("p-a,pad", "9w9h,fill,g-s", "g-s", Needs::Cover),
        ] {
            let refusal = SpecError::CannotAct { part: SpecPart::new(part), needs };
            assert_eq!(expanded(spec, preset), Err(refusal), "{spec} {preset}");
        }
    }

    #[test]
    fn refuses_an_unknown_name_and_says_it() {
        let error = expanded("p-b,q7", "200s").unwrap_err();
        assert_eq!(error, SpecError::UnknownPreset(SpecPart::new("p-b")));
        assert!(error.to_string().starts_with("\"p-b\" is not a preset"), "{error}");
    }

    #[test]
    fn a_spec_without_a_preset_means_itself() {
        assert_eq!(expanded("9w,q5", "200s").unwrap(), "9w,q5");
        assert_eq!(Spec::full().preset(), None);
    }

    proptest! {
        #[test]
        fn any_meaning_is_a_spec_that_the_url_could_have_said(
            spec in "p-a(,(up|q7|dpr1|dpr2|g-n|g-c|fill|pad|blur1|rot90|meta)){0,3}",
            preset in "(full|9w|9h|9w8h|9s)(,(up|q8|dpr3|g-s|fill|stretch|blur2|flip|grey)){0,3}",
        ) {
            if let (Ok(spec), Ok(preset)) = (Spec::parse(&spec), Spec::parse(&preset))
                && let Ok(meaning) = spec.expanded(|_| Some(&preset))
            {
                prop_assert_eq!(Spec::parse(&meaning.to_string()), Ok(meaning.clone()));
                prop_assert_eq!(meaning.size, preset.size);
            }
        }
    }
}
