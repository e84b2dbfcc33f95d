#include "frontend/keys.h"

#include "ir/strategy.h"

namespace netc::frontend {

namespace {

constexpr double largest_side = 1 << 16;
constexpr double most_micro_batches = 1024;

AttrDef integer(const char* name, std::optional<int64_t> fallback, double min, double max,
                const char* doc) {
  AttrDef def{.name = name, .kind = AttrKind::integer, .doc = doc, .min = min, .max = max};
  if (fallback)
    def.fallback = *fallback;
  return def;
}

AttrDef real(const char* name, std::optional<double> fallback, double min, double max,
             const char* doc) {
  AttrDef def{.name = name, .kind = AttrKind::real, .doc = doc, .min = min, .max = max};
  if (fallback)
    def.fallback = *fallback;
  return def;
}

AttrDef word(const char* name, const char* fallback, std::vector<std::string> choices,
             const char* doc) {
  AttrDef def{.name = name, .kind = AttrKind::text, .doc = doc, .choices = std::move(choices)};
  if (fallback)
    def.fallback = std::string(fallback);
  return def;
}

} // namespace

const std::vector<AttrDef>& input_keys() {
  static const std::vector<AttrDef> keys = {
      integer("channels", {}, 1, 4096, "colours of an image: 3, or 1 for grey"),
      integer("height", {}, 1, largest_side, "pixels the network sees"),
      integer("width", {}, 1, largest_side, "pixels the network sees"),
      word("resize", "cover", {"cover", "warp"},
           "how a photograph becomes a stored image: keep the aspect and cut, or warp"),
      word("crop", "center", {"center", "random"},
           "where the input is cut from a stored image while training"),
      {.name = "flip",
       .kind = AttrKind::boolean,
       .fallback = Attribute{false},
       .doc = "mirror half of the training images"},
      real("scale", 1.0, -1e6, 1e6, "multiplies the pixels, 0..255, after the mean is subtracted")};
  return keys;
}

const std::vector<AttrDef>& train_keys() {
  static const std::vector<AttrDef> keys = {
      integer("batch", 128, 1, 1 << 20, "images in a step"),
      real("epochs", 1.0, 0, 1e6, "passes over the training images"),
      integer("seed", 1, 0, 9007199254740992.0, "of initialisation, data order and dropout")};
  return keys;
}

const std::vector<AttrDef>& optimizer_keys() {
  static const std::vector<AttrDef> keys = {
      word("type", "sgd", {"sgd"}, "stochastic gradient descent with momentum"),
      real("rate", 0.01, 0, 1e6, "learning rate at the start"),
      real("momentum", 0.9, 0, 1, "share of the last update that is kept"),
      real("decay", 0.0, 0, 1e6, "weight decay")};
  return keys;
}

const std::vector<AttrDef>& rule_keys() {
  static const std::vector<AttrDef> keys = {
      word("match", nullptr, {}, "names of parameters; `*` stands for any text, `?` for a letter"),
      real("rate", 1.0, 0, 1e6, "multiplies the learning rate"),
      real("decay", 1.0, 0, 1e6, "multiplies the weight decay")};
  return keys;
}

const std::vector<AttrDef>& partition_keys() {
  static const std::vector<AttrDef> keys = {
      integer("devices", 1, 1, most_devices, "logical devices the network is cut over"),
      word("strategy", nullptr, {}, "how it is cut")};
  return keys;
}

const std::vector<AttrDef>& strategy_keys() {
  static const std::vector<AttrDef> keys = {
      integer("devices", {}, 1, most_devices, "logical devices that the network is cut over"),
      word("strategy", "follow", {},
           "named strategy for the layers that are not listed; `follow`: they follow what they "
           "read"),
      word("update", "replicated", {"replicated", "sharded"},
           "whether devices that all hold a parameter update all of it, or a part each"),
      integer("micro_batches", 1, 1, most_micro_batches,
              "parts in which layers that are not cut by samples take the batch, one after the "
              "other"),
      word("schedule", "gpipe", schedule_words(),
           "the order of micro-batches: all forward, then all backward; or backward as soon as can "
           "be; or the same with samples of every device in each")};
  return keys;
}

const AttrDef& cut_key() {
  static const AttrDef def =
      word("cut", nullptr, cut_words(), "how the devices share the layer's work");
  return def;
}

const std::vector<CutKey>& more_cut_keys() {
  static const std::vector<CutKey> keys = {
      {word("then", "whole", {"whole", "data", "filter", "spatial"},
            "how the sum is cut that a layer cut by `channel` gives"),
       {Cut::channel}},
      {{.name = "bounds",
        .kind = AttrKind::integers,
        .fallback = Attribute{std::vector<int64_t>{}},
        .doc = "where the samples, channels, features or rows are cut, from 0 to how many there "
               "are; left out: evenly",
        .min = 0},
       {Cut::data, Cut::filter, Cut::channel, Cut::spatial}},
      {integer("device", {}, 0, most_devices - 1, "which device does all of the layer"),
       {Cut::device}}};
  return keys;
}

const std::vector<ScheduleKeys>& schedule_kinds() {
  static const AttrDef factor =
      real("factor", 0.1, 1e-6, 1, "what the learning rate is multiplied by at each drop");
  static const std::vector<ScheduleKeys> kinds = {
      {"constant", {}},
      {"steps", {factor}, true},
      {"plateau",
       {factor, integer("drops", 3, 1, 100, "drops before the run ends"),
        integer("patience", 5, 1, 1000, "epochs without improvement before a drop")}}};
  return kinds;
}

const std::vector<AttrDef>& init_rules() {
  auto flag = [](const char* name, const char* doc) {
    return AttrDef{
        .name = name, .kind = AttrKind::boolean, .fallback = Attribute{false}, .doc = doc};
  };
  static const std::vector<AttrDef> rules = {
      real("gaussian", {}, 0, 1e6, "standard deviation of normal weights"),
      real("uniform", {}, 0, 1e6, "limit of uniform weights"),
      real("constant", {}, -1e6, 1e6, "every weight"),
      flag("xavier", "uniform within sqrt(6 / (fan_in + fan_out))"),
      flag("msra", "normal with standard deviation sqrt(2 / fan_in); the default")};
  return rules;
}

const AttrDef& init_bias_key() {
  static const AttrDef def = real("bias", 0.0, -1e6, 1e6, "every bias");
  return def;
}

const AttrDef& step_key() {
  static const AttrDef def =
      real("at", {}, 0, 1e6, "epochs at which the learning rate drops, ascending");
  return def;
}

const AttrDef& mean_key() {
  static const AttrDef def = real("mean", {}, -1e6, 1e6, "subtracted from the pixels, 0..255");
  return def;
}

const AttrDef& stored_key() {
  static const AttrDef def{
      .name = "stored",
      .kind = AttrKind::integers,
      .doc = "pixels of a stored image, one side or height and width; at least the input's",
      .min = 1,
      .max = largest_side,
      .length = 2};
  return def;
}

const AttrDef& efficiency_key() {
  static const AttrDef def = real("operators", {}, 1e-6, 1, "share of the peak it reaches");
  return def;
}

const std::vector<AttrDef>& device_keys() {
  static const std::vector<AttrDef> keys = {
      word("name", nullptr, {}, "of the device, for people"),
      integer("count", 1, 1, 64, "how many of them"),
      real("gflops", {}, 1e-3, 1e9, "peak in f32, in 1e9 operations a second"),
      real("compute_efficiency", {}, 1e-6, 1, "share of that peak which kernels reach"),
      real("gb_per_second", {}, 1e-3, 1e9, "peak of the memory, in 1e9 bytes a second"),
      real("memory_efficiency", {}, 1e-6, 1, "share of that peak which kernels reach"),
      real("launch_us", 0.0, 0, 1e6, "what starting a kernel adds, in microseconds"),
      real("memory_gib", 0.0, 0, 1 << 20, "size of the memory, in 2^30 bytes; 0: not known")};
  return keys;
}

const std::vector<AttrDef>& link_keys() {
  static const std::vector<AttrDef> keys = {
      real("gb_per_second", {}, 1e-6, 1e9,
           "what transfers reach, of each device and direction, in 1e9 bytes a second"),
      real("latency_us", 0.0, 0, 1e9, "of a message, in microseconds"),
      {.name = "full_duplex",
       .kind = AttrKind::boolean,
       .fallback = Attribute{true},
       .doc = "both directions at once"},
      {.name = "shared",
       .kind = AttrKind::boolean,
       .fallback = Attribute{false},
       .doc = "all devices share one bus"},
      {.name = "overlaps",
       .kind = AttrKind::boolean,
       .fallback = Attribute{false},
       .doc = "devices compute while they take part in an exchange"}};
  return keys;
}

} // namespace netc::frontend
