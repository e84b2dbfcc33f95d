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
    .lower = PixelLowering{lrn_pixel},
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
    .lower = PixelLowering{lrn_grad_pixel},
    .reference = lrn_grad_reference};

} // namespace netc::ops
