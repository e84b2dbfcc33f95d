// Reads the text form of Kernel IR, see ir/kernel_text.cpp. Builds exactly what is written: nothing
// is folded and only names and types are checked; the rest is for verify().

#include "ir/kernel.h"
#include "ir/kernel_rules.h"
#include "ir/support/text_reader.h"

#include <limits>

namespace netc::kernel {

namespace {

class Parser {
public:
  explicit Parser(const std::string& text) : reader_(text, "<kernel>", "()[]") {}

  Kernel kernel() {
    Kernel kernel;
    reader_.expect("(");
    reader_.expect("kernel");
    kernel.name = reader_.name("the name of a kernel");
    bool params = true;
    while (reader_.accept("(")) {
      Token head = reader_.word("a statement");
      if (params && head.is("param"))
        kernel.params.push_back(param());
      else
        kernel.body.push_back(statement(head));
      params = params && head.is("param");
    }
    reader_.expect(")");
    reader_.expect_end();
    return kernel;
  }

private:
  struct Symbol {
    std::string name;
    DType type;
  };

  Param param() {
    Param p;
    p.name = reader_.name("the name of a buffer");
    p.type.dtype = dtype();
    reader_.expect("[");
    while (!reader_.accept("]"))
      p.type.shape.push_back(
          reader_.integer_in("an extent", 1, std::numeric_limits<int64_t>::max()));
    if (reader_.accept("nhwc"))
      p.layout = Layout::nhwc;
    Token token = reader_.word("`in`, `out`, `inout` or `workspace`");
    for (Access access : {Access::in, Access::out, Access::inout, Access::workspace})
      if (token.is(to_string(access))) {
        p.access = access;
        reader_.expect(")");
        buffers_.push_back({p.name, loaded_type(p.type.dtype)});
        return p;
      }
    reader_.fail(
        token, fmt::format("expected `in`, `out`, `inout` or `workspace`, got {}", token.shown()));
  }

  DType dtype() {
    Token token = reader_.word("a type");
    if (std::optional<DType> type = parse_dtype(token.text))
      return *type;
    reader_.fail(token, fmt::format("expected a type, got {}", token.shown()));
  }

  /// Statements up to the closing parenthesis, in a scope of their own.
  std::vector<Stmt> body(std::vector<Stmt>* orelse = nullptr) {
    size_t vars = vars_.size(), buffers = buffers_.size();
    auto leave = [&] {
      vars_.resize(vars);
      buffers_.resize(buffers);
    };
    std::vector<Stmt> stmts;
    while (reader_.accept("(")) {
      Token head = reader_.word("a statement");
      if (orelse && head.is("else")) {
        leave();
        *orelse = body();
        break;
      }
      stmts.push_back(statement(head));
    }
    leave();
    reader_.expect(")");
    return stmts;
  }

  /// What follows `(head`, the closing parenthesis included.
  Stmt statement(const Token& head) {
    TextReader::Nesting nesting(reader_);
    auto s = std::make_shared<StmtNode>();
    s->kind = statement_kind(head);
    switch (s->kind) {
    case StmtKind::parallel:
    case StmtKind::serial:
    case StmtKind::spread:
    case StmtKind::lanes:
      loop(*s);
      return s;
    case StmtKind::block:
      s->body = body();
      return s;
    case StmtKind::if_:
      s->a = integer_expression("a condition");
      s->body = body(&s->orelse);
      return s;
    case StmtKind::let:
      s->name = reader_.name("the name of a variable");
      s->a = expression();
      s->type = s->a->type;
      vars_.push_back({s->name, s->type});
      break;
    case StmtKind::store:
      store(*s);
      break;
    case StmtKind::alloc:
      s->name = reader_.name("the name of an array");
      s->type = dtype();
      s->count = reader_.integer_in("a number of elements", 1, std::numeric_limits<int32_t>::max());
      buffers_.push_back({s->name, loaded_type(s->type)});
      break;
    case StmtKind::reduce:
    case StmtKind::reduce_lanes:
      reduce(*s);
      break;
    case StmtKind::barrier:
      break;
    }
    reader_.expect(")");
    return s;
  }

  StmtKind statement_kind(const Token& head) {
    std::vector<std::string> names;
    for (int i = 0; i <= static_cast<int>(StmtKind::barrier); ++i) {
      names.emplace_back(to_string(static_cast<StmtKind>(i)));
      if (names.back() == head.text)
        return static_cast<StmtKind>(i);
    }
    reader_.fail(head, fmt::format("unknown statement {}{}", head.shown(),
                                   did_you_mean(head.text.substr(0, 80), names)));
  }

  void loop(StmtNode& s) {
    s.type = DType::i32;
    s.name = reader_.name("the index of a loop");
    s.lo = integer_expression("a bound");
    s.hi = integer_expression("a bound");
    vars_.push_back({s.name, DType::i32});
    s.body = body();
    vars_.pop_back();
  }

  void store(StmtNode& s) {
    Token at = reader_.peek();
    s.name = reader_.name("the name of a buffer");
    find(buffers_, at, s.name, "buffer");
    reader_.expect("[");
    while (!reader_.accept("]"))
      s.indices.push_back(integer_expression("an index"));
    s.a = expression();
    s.type = s.a->type;
  }

  void reduce(StmtNode& s) {
    s.name = reader_.name("the name of a variable");
    s.op = reader_.word("`+` or `max`").text;
    s.var = reader_.name("the index of the reduction");
    s.lo = integer_expression("a bound");
    s.hi = integer_expression("a bound");
    vars_.push_back({s.var, DType::i32});
    s.a = expression();
    vars_.pop_back();
    if (reader_.accept("blocks"))
      s.blocks = static_cast<int>(reader_.integer_in("a number of blocks", 1, exact_blocks));
    s.type = s.a->type;
    vars_.push_back({s.name, s.type});
  }

  DType find(const std::vector<Symbol>& symbols, const Token& at, const std::string& name,
             std::string_view what) {
    std::vector<std::string> names;
    for (auto it = symbols.rbegin(); it != symbols.rend(); ++it) {
      if (it->name == name)
        return it->type;
      names.push_back(it->name);
    }
    reader_.fail(
        at, fmt::format("no {} {}{}", what, at.shown(), did_you_mean(name.substr(0, 80), names)));
  }

  Expr integer_expression(std::string_view what) {
    Token at = reader_.peek();
    Expr e = expression();
    if (e->type != DType::i32)
      reader_.fail(at, fmt::format("{} is i32, this is {}", what, to_string(e->type)));
    return e;
  }

  static Expr make(ExprKind kind, DType type, std::string name, std::vector<Expr> args) {
    Expr e;
    e.node =
        std::make_shared<ExprNode>(ExprNode{kind, type, std::move(name), 0, 0, std::move(args)});
    return e;
  }

  Expr expression() {
    TextReader::Nesting nesting(reader_);
    Token token = reader_.next();
    if (token.is("("))
      return form();
    if (token.kind == Token::Kind::word) {
      std::optional<int64_t> integer = integer_of(token.text);
      if (integer && *integer == static_cast<int32_t>(*integer))
        return Expr(*integer);
      if (integer)
        reader_.fail(token, fmt::format("{} does not fit an i32", token.shown()));
      if (std::optional<double> real = real_of(token.text))
        return Expr(*real);
    }
    if (token.kind != Token::Kind::word && token.kind != Token::Kind::text)
      reader_.fail(token, fmt::format("expected an expression, got {}", token.shown()));
    DType type = find(vars_, token, token.text, "variable");
    return make(ExprKind::var, type, token.text, {});
  }

  std::vector<Expr> arguments() {
    std::vector<Expr> args;
    while (!reader_.accept(")"))
      args.push_back(expression());
    return args;
  }

  /// What follows the opening parenthesis of an expression.
  Expr form() {
    Token head = reader_.word("an operator");
    if (head.is("load")) {
      Token at = reader_.peek();
      std::string buffer = reader_.name("the name of a buffer");
      DType type = find(buffers_, at, buffer, "buffer");
      std::vector<Expr> indices;
      while (!reader_.accept(")"))
        indices.push_back(integer_expression("an index"));
      return make(ExprKind::load, type, buffer, std::move(indices));
    }
    if (head.is("cast")) {
      DType type = dtype();
      Expr value = expression();
      reader_.expect(")");
      return make(ExprKind::cast, type, {}, {value});
    }
    return application(head, arguments());
  }

  Expr application(const Token& head, std::vector<Expr> args) {
    std::string types;
    for (const Expr& arg : args)
      types += fmt::format("{}{}", types.empty() ? "" : ", ", to_string(arg->type));
    if (head.is("select")) {
      if (args.size() == 3 && args[0]->type == DType::i32 && args[1]->type == args[2]->type) {
        DType type = args[1]->type;
        return make(ExprKind::select, type, {}, std::move(args));
      }
    } else if (std::optional<FunctionType> function = function_type(head.text)) {
      bool fits = args.size() == function->arguments;
      for (const Expr& arg : args)
        fits = fits && arg->type == function->argument;
      if (fits)
        return make(ExprKind::call, function->result, head.text, std::move(args));
    } else if (args.size() == 1) {
      if (std::optional<DType> type = unary_type(head.text, args[0]->type))
        return make(ExprKind::unary, *type, head.text, std::move(args));
    } else if (args.size() == 2) {
      if (std::optional<DType> type = binary_type(head.text, args[0]->type, args[1]->type))
        return make(ExprKind::binary, *type, head.text, std::move(args));
    }
    reader_.fail(head, fmt::format("no operator {} for ({})", head.shown(), types));
  }

  TextReader reader_;
  std::vector<Symbol> vars_;
  std::vector<Symbol> buffers_;
};

} // namespace

Kernel parse_kernel(const std::string& text) {
  return Parser(text).kernel();
}

} // namespace netc::kernel
