//! Two nodes with the same name, taken in on two sides of a partition. When the sides meet, one of the two must be
//! refused, without loss of an image, until an operator renames it.

use std::collections::BTreeMap;

use reticulum::cluster::layout::Role;
use reticulum::cluster::node::Label;
use reticulum::cluster::view::View;

use crate::event::Index;
use crate::injected_bug::InjectedBug;
use crate::operator::NODES_MAX;
use crate::world::World;

impl World {
    /// The cluster is partitioned in two, and each side takes in a new node under the same name.
    pub(crate) fn take_in_namesakes(&mut self, index: Index) -> bool {
        // The sides are the nodes of even and of odd number, so each side gets one of the new nodes.
        let first = self.nodes.len();
        if first + 2 > NODES_MAX {
            return false;
        }
        let side = |world: &Self, new: Index| -> Vec<Index> {
            world.standing().into_iter().filter(|it| it % 2 == new % 2).collect()
        };
        let joins = [first, first + 1].map(|new| side(self, new));
        if joins.iter().any(Vec::is_empty) {
            return false;
        }
        let new = joins.map(|join| self.add_machine(3, &join));
        self.nodes[new[1]].name = self.nodes[new[0]].name.clone();
        self.cut_links(&self.links_between(&self.side(index)));
        new.into_iter().for_each(|new| self.start(new));
        true
    }

    /// The partition heals.
    pub(crate) fn part_namesakes(&mut self, index: Index) {
        self.mend_links(&self.links_between(&self.side(index)));
    }

    /// An operator gives each node with a duplicate name a new one, which takes effect at its next start.
    pub(crate) fn rename_namesakes(&mut self) {
        for index in self.standing() {
            let own = Label::parse(&format!("n{index}")).expect("a label");
            if self.nodes[index].name != own {
                self.count("namesake renamed");
                self.nodes[index].name = own;
                self.take_down(index, false);
            }
        }
    }

    /// Gives the core a name: the machine's own, unless names are not compared.
    pub(crate) fn misname(&mut self, index: Index) {
        let name = self.nodes[index].name.clone();
        self.nodes[index].settings.about.name = match self.bug {
            Some(InjectedBug::NamesHeldTwice) => Label::parse(&format!("{name}.{index}")).expect("a label"),
            _ => name,
        };
    }

    /// In no view two members under one name take copies, and the view reports that one of them was refused.
    pub(crate) fn check_names(&mut self, index: Index, view: &View) {
        let mut takers = BTreeMap::new();
        let mut twice = None;
        for (node, member) in view.members() {
            let Some(machine) = self.index_of(node) else { continue };
            // The layout has the old name of a renamed machine until that machine is started again.
            let name = &self.nodes[machine].name;
            let is_called_so = self.bug == Some(InjectedBug::NamesHeldTwice) || member.name == *name;
            if is_called_so && member.writable && member.role == Role::Active {
                twice = twice.or(takers.insert(name.clone(), machine).map(|other| (other, machine)));
            } else if is_called_so && !member.writable && machine != index {
                self.count("seen to be refused");
            }
        }
        if let Some((one, other)) = twice {
            self.fail(format!("node {index} sees both {one} and {other} take copies, which have one name"));
        }
    }
}
