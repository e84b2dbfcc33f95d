// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3).

#include "ir/ops/common.h"

#include <cmath>

namespace netc::ops {

namespace {

using kernel::load;
using kernel::power;

struct Params {
  int64_t n, half, groups;
  double k, alpha, beta;
};

/// alpha is the multiplier of the sum of squares, whichever convention the node uses.
Params params(const Node& node) {
  int64_t n = integer(node, "n");
  double alpha = node.attrs.real("alpha");
  return {n,
          n / 2,
          integer(node, "groups"),
          node.attrs.real("k"),
          node.attrs.flag("alpha_over_n") ? alpha / static_cast<double>(n) : alpha,
          node.attrs.real("beta")};
}

void infer_lrn(InferContext& c) {
  if (!c.expect_rank(0, {2, 4}))
    return;
  int64_t channels = c.operands[0].shape[1], groups = c.attrs.integer("groups");
  if (c.attrs.integer("n") % 2 == 0)
    c.error(fmt::format("`n` is {}, must be odd: the window is centred on a channel",
                        c.attrs.integer("n")));
  if (channels % groups)
    c.error(fmt::format("{} groups do not divide {} channels", groups, channels));
  infer_all_same(c);
}

/// A channel window needs neighbours: an array of all channels whose groups are set apart by
/// zeros, so that a window of n channels may run over a group's ends.
class PaddedChannels {
public:
  PaddedChannels(PixelContext& c, const std::string& base, const Params& p, int64_t channels)
      : name_(c.local(base)), p_(p), index_(c.local("c")), per_group_(channels / p.groups),
        stride_(per_group_ + 2 * p.half), threads_(c.threads) {
    c.body.alloc(name_, DType::f32, stride_ * p_.groups);
    if (p_.half > 0 && c.threads)
      clear_edges_at_once(c);
    for (int64_t g = 0; g < p_.groups && p_.half > 0 && !c.threads; ++g)
      c.body.loop(StmtKind::lanes, c.local("edge"), 0, p_.half, [&](Expr e, Body& l) {
        l.store(name_, {Expr(g * stride_) + e}, Expr(0.0));
        l.store(name_, {Expr(g * stride_ + p_.half + per_group_) + e}, Expr(0.0));
      });
  }

  /// Stores fn(channel) for every channel.
  template <class Fn> void fill(Body& body, Fn fn) {
    each(body, [&](Expr position, Expr channel, Body& l) {
      l.store(name_, {position + Expr(p_.half)}, fn(channel));
    });
  }

  const std::string& name() const { return name_; }
  /// Where channel `ch` stands in the array.
  Expr position(Expr ch) const { return window(std::move(ch)) + Expr(p_.half); }

  /// Calls fn(sum over the channel's window, channel, loop body) for every channel.
  template <class Fn> void sums(Body& body, Fn fn) {
    each(body, [&](Expr position, Expr channel, Body& l) {
      Expr sum = load(name_, DType::f32, {position});
      for (int64_t i = 1; i < p_.n; ++i)
        sum = sum + load(name_, DType::f32, {position + Expr(i)});
      fn(sum, channel, l);
    });
  }

private:
  /// Where the window of channel `ch` begins.
  Expr window(Expr ch) const {
    return p_.groups == 1 ? ch : ch / Expr(per_group_) * Expr(2 * p_.half) + ch;
  }

  void clear_edges_at_once(PixelContext& c) {
    c.body.loop(StmtKind::lanes, c.local("edge"), 0, 2 * p_.half * p_.groups, [&](Expr e, Body& l) {
      Expr group = e / Expr(2 * p_.half), at = e % Expr(2 * p_.half);
      Expr behind = kernel::select(at < Expr(p_.half), Expr(0), Expr(per_group_));
      l.store(name_, {group * Expr(stride_) + at + behind}, Expr(0.0));
    });
  }

  /// Calls fn(where a channel's window begins, channel, loop body): loops over the groups, or one
  /// for threads.
  template <class Fn> void each(Body& body, Fn fn) {
    if (threads_)
      return body.loop(StmtKind::lanes, fmt::format("{}_{}", index_, loops_++), 0,
                       per_group_ * p_.groups, [&](Expr ch, Body& l) { fn(window(ch), ch, l); });
    for (int64_t g = 0; g < p_.groups; ++g)
      body.loop(StmtKind::lanes, fmt::format("{}_{}_{}", index_, loops_++, g), 0, per_group_,
                [&](Expr i, Body& l) { fn(Expr(g * stride_) + i, Expr(g * per_group_) + i, l); });
  }

  std::string name_;
  Params p_;
  std::string index_;
  int64_t per_group_, stride_;
  bool threads_;
  int loops_ = 0;
};

void lrn_pixel(PixelContext& c) {
  Params p = params(c.node);
  PaddedChannels squares(c, "squares", p, c.node.operands[0]->type.shape[1]);
  squares.fill(c.body, [&](Expr ch) { return c.here(0, ch) * c.here(0, ch); });
  squares.sums(c.body, [&](Expr sum, Expr ch, Body& l) {
    Expr s = Expr(p.k) + Expr(p.alpha) * sum;
    c.store(l, 0, ch, c.here(0, ch) * power(s, -p.beta));
  });
}

/// dx_i = dy_i s_i^-beta - 2 alpha beta x_i sum over j near i of dy_j x_j s_j^(-beta - 1).
void lrn_grad_pixel(PixelContext& c) {
  Params p = params(c.node);
  int64_t channels = c.node.operands[0]->type.shape[1];
  std::string direct = c.local("direct");
  c.body.alloc(direct, DType::f32, channels);
  PaddedChannels squares(c, "squares", p, channels), ratios(c, "ratios", p, channels);
  squares.fill(c.body, [&](Expr ch) { return c.here(1, ch) * c.here(1, ch); });
  squares.sums(c.body, [&](Expr sum, Expr ch, Body& l) {
    Expr s = l.let(c.local("s"), Expr(p.k) + Expr(p.alpha) * sum);
    Expr scaled = l.let(c.local("scaled"), c.here(0, ch) * power(s, -p.beta));
    l.store(direct, {ch}, scaled);
    l.store(ratios.name(), {ratios.position(ch)}, scaled * c.here(1, ch) / s);
  });
  ratios.sums(c.body, [&](Expr sum, Expr ch, Body& l) {
    c.store(l, 0, ch,
            load(direct, DType::f32, {ch}) - Expr(2 * p.alpha * p.beta) * c.here(1, ch) * sum);
  });
}

/// Windows that a thread keeps in registers, in vectors of 4 where channels come in fours.
constexpr int64_t most_in_registers = 9;

int64_t lrn_taps(const Node& node) {
  const Params p = params(node);
  const int64_t channels = node.operands[0]->type.shape[1];
  const bool whole = channels % 4 != 0 || channels / p.groups % 4 == 0;
  return p.n <= most_in_registers && whole ? 1 : 0;
}

/// `fetch`(first channel, count): the run with `half` neighbours on either side, zeros beyond the
/// group. A run of 4 lies within its group, and so do the 4 channels to the left and the right of
/// it, or none of them.
template <class Fetch> Run with_neighbours(RunContext& c, const Params& p, Fetch fetch) {
  const int64_t channels = c.node.operands[0]->type.shape[1], per_group = channels / p.groups;
  const Expr in_group = p.groups == 1 ? c.first : c.first % Expr(per_group);
  Run all;
  auto side = [&](const Expr& from, int64_t count, const Expr& exists) {
    for (const Expr& value : fetch(from, count))
      all.push_back(c.let("near", select(exists, value, 0.0)));
  };
  auto own = [&] {
    for (const Expr& value : fetch(c.first, c.count))
      all.push_back(value);
  };
  if (c.count == 4) {
    const Expr left = c.let("left", max(c.first - Expr(4), Expr(0)));
    const Expr right = c.let("right", min(c.first + Expr(4), Expr(channels - 4)));
    if (p.half > 0)
      side(left + Expr(4 - p.half), p.half, Expr(4) <= in_group);
    own();
    if (p.half > 0)
      side(right, p.half, in_group < Expr(per_group - 4));
    return all;
  }
  for (int64_t d = -p.half; d < 0; ++d)
    side(max(c.first + Expr(d), Expr(0)), 1, Expr(-d) <= in_group);
  own();
  for (int64_t d = 1; d <= p.half; ++d)
    side(min(c.first + Expr(d), Expr(channels - 1)), 1, in_group < Expr(per_group - d));
  return all;
}

/// Sums over the windows of a run of 4, of 5 channels or more: most of each is in all of them.
Run sums_of_common(RunContext& c, const Params& p, const Run& v) {
  const size_t n = static_cast<size_t>(p.n);
  Expr common = v[3];
  for (size_t i = 4; i < n; ++i)
    common = common + v[i];
  const Expr core = c.let("core", common);
  const Expr left = c.let("left_sum", core + v[2] + v[1]);
  const Expr right = c.let("right_sum", core + v[n] + v[n + 1]);
  return {c.let("sum", left + v[0]), c.let("sum", left + v[n]), c.let("sum", right + v[2]),
          c.let("sum", right + v[n + 2])};
}

/// Sums over the windows of the run.
Run window_sums(RunContext& c, const Params& p, const Run& values) {
  if (c.count == 4 && p.n >= 5 && !c.exact)
    return sums_of_common(c, p, values);
  Run sums;
  for (int64_t k = 0; k < c.count; ++k) {
    Expr sum = values[static_cast<size_t>(k)];
    for (int64_t i = 1; i < p.n; ++i)
      sum = sum + values[static_cast<size_t>(k + i)];
    sums.push_back(c.let("sum", sum));
  }
  return sums;
}

/// The scales of the run; `x`: which operand is normalised.
Run scales(RunContext& c, const Params& p, size_t x) {
  Run squares = with_neighbours(
      c, p, [&](const Expr& from, int64_t count) { return c.here(x, from, count); });
  for (Expr& square : squares)
    square = c.let("square", square * square);
  Run list = window_sums(c, p, squares);
  for (Expr& sum : list)
    sum = c.let("s", Expr(p.k) + Expr(p.alpha) * sum);
  return list;
}

std::vector<Run> lrn_run(RunContext& c) {
  const Params p = params(c.node);
  Run y = scales(c, p, 0);
  const Run x = c.here(0, c.first, c.count);
  for (size_t k = 0; k < y.size(); ++k)
    y[k] = x[k] * power(y[k], -p.beta);
  return {y};
}

/// What the channel itself needs, dy_i s_i^-beta, and what others do, dy_j x_j s_j^(-beta - 1).
std::vector<Run> lrn_grad_show(RunContext& c) {
  const Params p = params(c.node);
  const Run s = scales(c, p, 1), dy = c.here(0, c.first, c.count), x = c.here(1, c.first, c.count);
  Run scaled, ratios;
  for (size_t k = 0; k < s.size(); ++k) {
    scaled.push_back(c.let("scaled", dy[k] * power(s[k], -p.beta)));
    ratios.push_back(scaled[k] * x[k] / s[k]);
  }
  return {scaled, ratios};
}

std::vector<Run> lrn_grad_run(RunContext& c) {
  const Params p = params(c.node);
  const Run sums = window_sums(c, p, with_neighbours(c, p, [&](const Expr& from, int64_t count) {
                                 return c.shared(1, from, count);
                               }));
  Run dx = c.shared(0, c.first, c.count);
  const Run x = c.here(1, c.first, c.count);
  for (size_t k = 0; k < dx.size(); ++k)
    dx[k] = dx[k] - Expr(2 * p.alpha * p.beta) * x[k] * sums[k];
  return {dx};
}

/// Calls fn(i, j, k) for pairs of elements in one channel window: i the centre, j a neighbour.
template <class Fn> void for_each_pair(const Node& node, const Shape& shape, Fn fn) {
  Params p = params(node);
  int64_t channels = shape[1], per_group = channels / p.groups;
  int64_t plane = shape.size() == 4 ? shape[2] * shape[3] : 1;
  for (int64_t n = 0; n < shape[0]; ++n)
    for (int64_t ch = 0; ch < channels; ++ch)
      for (int64_t j = ch - p.half; j <= ch + p.half; ++j) {
        if (j < 0 || j >= channels || j / per_group != ch / per_group)
          continue;
        for (int64_t q = 0; q < plane; ++q)
          fn(static_cast<size_t>((n * channels + ch) * plane + q),
             static_cast<size_t>((n * channels + j) * plane + q));
      }
}

std::vector<double> reference_scales(const Node& node, const RefTensor& x) {
  Params p = params(node);
  std::vector<double> s(x.data.size(), p.k);
  for_each_pair(node, x.type.shape,
                [&](size_t i, size_t j) { s[i] += p.alpha * x.data[j] * x.data[j]; });
  return s;
}

void lrn_reference(RefContext& c) {
  const RefTensor& x = *c.operands[0];
  std::vector<double> s = reference_scales(c.node, x);
  for (size_t i = 0; i < s.size(); ++i)
    c.results[0].data[i] = x.data[i] * std::pow(s[i], -params(c.node).beta);
}

void lrn_grad_reference(RefContext& c) {
  const RefTensor &dy = *c.operands[0], &x = *c.operands[1];
  Params p = params(c.node);
  std::vector<double> s = reference_scales(c.node, x);
  auto& dx = c.results[0].data;
  for (size_t i = 0; i < s.size(); ++i)
    dx[i] = dy.data[i] * std::pow(s[i], -p.beta);
  for_each_pair(c.node, x.type.shape, [&](size_t i, size_t j) {
    dx[i] -=
        2 * p.alpha * p.beta * x.data[i] * dy.data[j] * x.data[j] * std::pow(s[j], -p.beta - 1);
  });
}

/// A window needs its neighbours: those of a share's ends are read, too, and, as theirs are not,
/// computed in vain. Between groups there are none.
void lrn_share(ShareContext& c) {
  if (c.factor.name != "channel")
    return;
  const Params p = params(c.node);
  const int64_t per_group = c.factor.extent / p.groups;
  const int64_t first = c.range.begin / per_group, last = (c.range.end - 1) / per_group;
  Range read = c.range;
  if (c.range.begin % per_group == 0 && c.range.end % per_group == 0) {
    c.attrs.set("groups", last - first + 1);
  } else if (first == last) {
    const int64_t halo = c.node.op == &lrn ? p.half : 2 * p.half; // a gradient has scales of both
    read = {std::max(c.range.begin - halo, first * per_group),
            std::min(c.range.end + halo, (first + 1) * per_group)};
    c.attrs.set("groups", int64_t{1});
  } else {
    c.error = fmt::format("its windows stay within groups of {} channels: cut between groups, or "
                          "within one",
                          per_group);
  }
  for (Box& operand : c.operands)
    operand[1] = read;
  c.results[0][1] = read;
}

std::vector<AttrDef> lrn_attrs() {
  auto real = [](const char* name, const char* doc, double min) {
    return AttrDef{.name = name, .kind = AttrKind::real, .doc = doc, .min = min};
  };
  return {{.name = "n",
           .kind = AttrKind::integer,
           .doc = "channels in the window, odd",
           .min = 1,
           .max = 4095},
          real("k", "constant under the power", 1e-6),
          real("alpha", "weight of the squares", 0),
          real("beta", "exponent", 0),
          {.name = "alpha_over_n",
           .kind = AttrKind::boolean,
           .doc = "whether alpha is divided by n (Caffe, PyTorch, the 2012 code) or not (the "
                  "paper's formula, TensorFlow)"},
          {.name = "groups",
           .kind = AttrKind::integer,
           .fallback = Attribute{int64_t{1}},
           .doc = "towers: a window does not reach over the border of a group",
           .min = 1}};
}

} // namespace

const OpDef lrn{
    .name = "lrn",
    .doc = "y_i = x_i / (k + a sum over j of x_j^2)^beta, j running over the n channels centred on "
           "i within i's group; a = alpha or alpha / n as `alpha_over_n` says.",
    .operands = {{"x", "[n, c] or [n, c, h, w]"}},
    .attrs = lrn_attrs(),
    .results = {{"", "as x"}},
    .infer = infer_lrn,
    .vjp = [](VjpContext& c) -> std::vector<Value*> {
      return {c.builder.value(lrn_grad, c.node.name + ".grad",
                              {c.cotangents[0], c.node.operands[0]}, c.node.attrs)};
    },
    .flops =
        [](const Node& node) {
          return (2 * integer(node, "n") + 6) * node.result()->type.elements();
        },
    .factors = pixel_factors,
    .share = lrn_share,
    .lower = PixelLowering{lrn_pixel, nullptr, true, lrn_run, lrn_taps, Reach::near},
    .reference = lrn_reference,
    .layer = LayerDef{}};

const OpDef lrn_grad{
    .name = "lrn_grad",
    .doc = "Cotangent of lrn's operand; the scales are computed again rather than kept.",
    .operands = {{"dy", "cotangent of the result"}, {"x", "the operand"}},
    .attrs = lrn_attrs(),
    .results = {{"", "as x"}},
    .infer = infer_lrn,
    .flops =
        [](const Node& node) {
          return (3 * integer(node, "n") + 14) * node.result()->type.elements();
        },
    .factors = pixel_factors,
    .share = lrn_share,
    .lower = PixelLowering{lrn_grad_pixel, nullptr, true, lrn_grad_run, lrn_taps, Reach::shared,
                           lrn_grad_show},
    .reference = lrn_grad_reference};

} // namespace netc::ops
