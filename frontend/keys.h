#pragma once
// The keys of the sections that are not layers, declared like the attributes of operators. The
// readers, the error messages and the JSON schema all follow these tables.

#include "ir/attribute.h"
#include "ir/strategy.h"

namespace netc::frontend {

/// `input:`; the keys `stored` and `mean` take more forms than an attribute and are read apart.
const std::vector<AttrDef>& input_keys();
/// `train:`, without its subsections.
const std::vector<AttrDef>& train_keys();
/// `train.optimizer:`
const std::vector<AttrDef>& optimizer_keys();
/// One entry of `train.parameters:`
const std::vector<AttrDef>& rule_keys();
/// `partition:`
const std::vector<AttrDef>& partition_keys();

/// A strategy file, without `layers:`
const std::vector<AttrDef>& strategy_keys();
/// `cut` of an entry of its `layers:`
const AttrDef& cut_key();
/// The other keys of such an entry, each with the cuts it goes with.
struct CutKey {
  AttrDef key;
  std::vector<Cut> cuts;
};
const std::vector<CutKey>& more_cut_keys();

/// A kind of schedule and the keys it has besides `type`.
struct ScheduleKeys {
  std::string type;
  std::vector<AttrDef> keys;
  bool at = false; ///< Has the list `at`, too; see step_key.
};
const std::vector<ScheduleKeys>& schedule_kinds();

/// The rules of `init:` for the weights, of which one is given; a boolean one only as `true`.
const std::vector<AttrDef>& init_rules();
/// `bias` of `init:`
const AttrDef& init_bias_key();

/// An entry of the list `at` of a schedule.
const AttrDef& step_key();
/// An entry of a given `mean`.
const AttrDef& mean_key();
/// `stored`, the size of a stored image.
const AttrDef& stored_key();

/// Of a machine's file: an entry of `devices:`, without `operators`.
const std::vector<AttrDef>& device_keys();
/// An entry of a device's `operators:`
const AttrDef& efficiency_key();
/// `link:` of a machine's file.
const std::vector<AttrDef>& link_keys();

} // namespace netc::frontend
