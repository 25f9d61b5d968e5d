// The figure of `moga plot` by cairo: the same drawing as SVG and as PNG. See plot.h.
#include <cairo-svg.h>
#include <cairo.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "moga/core/check.h"
#include "moga/plot/plot.h"

namespace moga {
namespace {

// In points of the SVG; a PNG has kPixels pixels each.
constexpr double kPanelWidth = 430, kPanelHeight = 270, kMargin = 16, kHead = 34, kFont = 11, kTitleFont = 13;
constexpr double kLeft = 52, kRight = 12, kTop = 30, kBottom = 34, kKeyWidth = 136;
constexpr double kPixels = 2;
constexpr size_t kMostColumns = 3, kMostKeys = 17, kMostMarks = 40;
constexpr PlotColour kText{0.11, 0.12, 0.13}, kSoft{0.36, 0.38, 0.41}, kGrid{0.88, 0.89, 0.90};

struct Destroy {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};
using Surface = std::unique_ptr<cairo_surface_t, Destroy>;

struct Box {
  double left, top, right, bottom;
};

class Drawing {
 public:
  explicit Drawing(cairo_surface_t* surface) : to_(cairo_create(surface)) {
    cairo_set_line_join(to_.get(), CAIRO_LINE_JOIN_ROUND);
  }
  void colour(const PlotColour& rgb, double opacity = 1) {
    cairo_set_source_rgba(to_.get(), rgb.red, rgb.green, rgb.blue, opacity);
  }
  // place: 0 begins at x, 0.5 is centred, 1 ends there.
  void text(double x, double y, const std::string& text, double place = 0, double size = kFont, bool bold = false) {
    font(size, bold);
    cairo_move_to(to_.get(), x - place * extents(text).x_advance, y);
    cairo_show_text(to_.get(), text.c_str());
  }
  double width(const std::string& text, double size = kFont, bool bold = false) {
    font(size, bold);
    return extents(text).x_advance;
  }
  // As much of a text as fits.
  std::string fitted(std::string text, double most, double size = kFont, bool bold = false) {
    if (width(text, size, bold) <= most) return text;
    while (!text.empty() && width(text + "…", size, bold) > most) {
      do text.pop_back();
      while (!text.empty() && (static_cast<unsigned char>(text.back()) & 0xC0) == 0x80);
      if (!text.empty() && static_cast<unsigned char>(text.back()) >= 0xC0) text.pop_back();
    }
    return text + "…";
  }
  void line(double x0, double y0, double x1, double y1, double width) {
    cairo_set_line_width(to_.get(), width);
    cairo_move_to(to_.get(), x0, y0);
    cairo_line_to(to_.get(), x1, y1);
    cairo_stroke(to_.get());
  }
  void dash(bool on) {
    constexpr std::array kDash = {4.0, 3.0};
    cairo_set_dash(to_.get(), kDash.data(), on ? static_cast<int>(kDash.size()) : 0, 0);
  }
  cairo_t* context() { return to_.get(); }

 private:
  void font(double size, bool bold) {
    cairo_select_font_face(to_.get(), "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(to_.get(), size);
  }
  cairo_text_extents_t extents(const std::string& text) {
    cairo_text_extents_t extents;
    cairo_text_extents(to_.get(), text.c_str(), &extents);
    return extents;
  }
  std::unique_ptr<cairo_t, Destroy> to_;
};

// Values → points along one direction.
struct Scale {
  double low = 0, high = 1, from = 0, to = 1;
  bool logarithmic = false;
  double operator()(double value) const {
    const auto place = [&](double x) { return logarithmic ? std::log(x) : x; };
    return from + (place(value) - place(low)) / (place(high) - place(low)) * (to - from);
  }
};

const std::vector<double>& xs_of(const Plot& plot, const Curve& curve) {
  return plot.options.axis == PlotAxis::kStep ? curve.steps : curve.hours;
}

// The range of the finite values with some room; never empty.
Scale range_of(const std::vector<double>& values, bool logarithmic, double room) {
  Scale scale = {.low = HUGE_VAL, .high = -HUGE_VAL, .logarithmic = logarithmic};
  for (const double value : values)
    if (std::isfinite(value)) scale.low = std::min(scale.low, value), scale.high = std::max(scale.high, value);
  if (scale.low > scale.high) scale.low = 0, scale.high = 1;
  if (logarithmic) {
    const double factor = std::pow(scale.high / scale.low, room);
    scale.low /= factor;
    scale.high *= factor;
    return scale;
  }
  double extra = room * (scale.high - scale.low);
  if (extra == 0 && room > 0) extra = std::max(std::abs(scale.high) * 0.1, 1e-12);
  if (scale.low == scale.high && room == 0) extra = 0.5;
  if (scale.low >= 0)
    scale.low = std::max(0.0, scale.low - extra);
  else
    scale.low -= extra;
  scale.high += extra;
  return scale;
}

class PanelDrawing {
 public:
  PanelDrawing(Drawing& to, const Plot& plot, const Panel& panel, double left, double top)
      : to_(to), plot_(plot), panel_(panel), keyed_(panel.colour != CurveColour::kRun) {
    box_ = {left + kLeft, top + kTop, left + kPanelWidth - kRight - (keyed_ ? kKeyWidth : 0),
            top + kPanelHeight - kBottom};
    std::vector<double> xs, ys;
    for (const Curve& curve : panel.curves) {
      xs.insert(xs.end(), xs_of(plot, curve).begin(), xs_of(plot, curve).end());
      ys.insert(ys.end(), curve.values.begin(), curve.values.end());
    }
    x_ = range_of(xs, false, 0);
    x_.from = box_.left, x_.to = box_.right;
    y_ = range_of(ys, panel.logarithmic, 0.04);
    y_.from = box_.bottom, y_.to = box_.top;
  }

  void draw() {
    head();
    axes();
    cairo_save(to_.context());
    cairo_rectangle(to_.context(), box_.left, box_.top - 2, box_.right - box_.left + 2, box_.bottom - box_.top + 4);
    cairo_clip(to_.context());
    for (const Curve& curve : panel_.curves) draw_curve(curve);
    cairo_restore(to_.context());
    if (keyed_) key();
  }

 private:
  void head() {
    const std::string unit =
        panel_.unit + (panel_.logarithmic ? (panel_.unit.empty() ? "log scale" : ", log scale") : "");
    const double all = kPanelWidth - kMargin, unit_width = unit.empty() ? 0 : to_.width(unit) + 8;
    to_.colour(kText);
    const std::string title = to_.fitted(panel_.title, all - unit_width - kLeft + 36, kTitleFont, true);
    to_.text(box_.left - 36, box_.top - 12, title, 0, kTitleFont, true);
    to_.colour(kSoft);
    to_.text(box_.left - 36 + to_.width(title, kTitleFont, true) + 8, box_.top - 12, unit);
  }

  void axes() {
    const Ticks x = ticks_of(x_.low, x_.high, false), y = ticks_of(y_.low, y_.high, y_.logarithmic);
    for (size_t i = 0; i < y.at.size(); ++i) {
      to_.colour(kGrid);
      to_.line(box_.left, y_(y.at[i]), box_.right, y_(y.at[i]), 0.7);
      to_.colour(kSoft);
      to_.text(box_.left - 5, y_(y.at[i]) + 4, y.text[i], 1);
    }
    for (size_t i = 0; i < x.at.size(); ++i) {
      to_.colour(kGrid);
      to_.line(x_(x.at[i]), box_.top, x_(x.at[i]), box_.bottom, 0.7);
      to_.colour(kSoft);
      to_.text(x_(x.at[i]), box_.bottom + 14, x.text[i], 0.5);
    }
    to_.text((box_.left + box_.right) / 2, box_.bottom + 27,
             plot_.options.axis == PlotAxis::kStep ? "train step" : "hours of training", 0.5);
    to_.line(box_.left, box_.bottom, box_.right, box_.bottom, 1);
  }

  void path(const std::vector<double>& xs, const std::vector<double>& ys, double width) {
    cairo_set_line_width(to_.context(), width);
    bool open = false;
    for (size_t i = 0; i < xs.size(); ++i) {
      const bool there = std::isfinite(xs[i]) && std::isfinite(ys[i]) && (!y_.logarithmic || ys[i] > 0);
      if (there && open) cairo_line_to(to_.context(), x_(xs[i]), y_(ys[i]));
      if (there && !open) cairo_move_to(to_.context(), x_(xs[i]), y_(ys[i]));
      open = there;
    }
    cairo_stroke(to_.context());
  }

  void draw_curve(const Curve& curve) {
    const PlotColour colour = colour_of(panel_, curve);
    const std::vector<double>& xs = xs_of(plot_, curve);
    const bool smooth = plot_.options.smooth > 1 && !curve.evaluated;
    if (smooth) {
      to_.colour(colour, 0.22);
      path(xs, curve.values, 1);
    }
    to_.colour(colour);
    to_.dash(dashed(panel_, curve));
    path(xs, smooth ? smoothed(curve.values, plot_.options.smooth) : curve.values, 1.5);
    to_.dash(false);
    if (curve.values.size() > 1 && (!curve.evaluated || curve.values.size() > kMostMarks)) return;
    for (size_t i = 0; i < xs.size(); ++i) {
      if (!std::isfinite(xs[i]) || !std::isfinite(curve.values[i])) continue;
      cairo_arc(to_.context(), x_(xs[i]), y_(curve.values[i]), 2.6, 0, 2 * M_PI);
      cairo_fill(to_.context());
    }
  }

  // All curves, or of many every so many-th and the last.
  void key() {
    const size_t count = panel_.curves.size();
    const size_t stride = count <= kMostKeys ? 1 : (count + kMostKeys - 2) / (kMostKeys - 1);
    double y = box_.top + 6;
    const double x = box_.right + 12;
    for (size_t i = 0; i < count; ++i) {
      if (i % stride != 0 && i + 1 != count) continue;
      const Curve& curve = panel_.curves[i];
      to_.colour(colour_of(panel_, curve));
      to_.dash(dashed(panel_, curve));
      to_.line(x, y - 4, x + 16, y - 4, 2);
      to_.dash(false);
      to_.colour(kText);
      to_.text(x + 21, y, to_.fitted(curve.name, kKeyWidth - 35));
      y += 13;
    }
  }

  Drawing& to_;
  const Plot& plot_;
  const Panel& panel_;
  bool keyed_;
  Box box_{};
  Scale x_, y_;
};

struct Size {
  size_t columns;
  double head, width, height;
};

// The names of the runs above the panels, in as many lines as they need.
double draw_runs(Drawing& to, const Plot& plot, double right) {
  double x = kMargin, y = kMargin + 14;
  const Panel of_runs = {.title = "", .unit = ""};
  for (size_t run = 0; run < plot.runs.size(); ++run) {
    const std::string name = to.fitted(plot.runs[run], right - 2 * kMargin - 30, kTitleFont);
    const double width = 30 + to.width(name, kTitleFont) + 18;
    if (x + width > right && x > kMargin) x = kMargin, y += 19;
    const Curve curve = {.name = "", .run = run, .number = run};
    to.colour(colour_of(of_runs, curve));
    to.dash(dashed(of_runs, curve));
    to.line(x, y - 4, x + 22, y - 4, 2.5);
    to.dash(false);
    to.colour(kText);
    to.text(x + 28, y, name, 0, kTitleFont);
    x += width;
  }
  to.colour(kSoft);
  to.text(kMargin, y + 19, to.fitted(smoothing_text(plot.options), right - 2 * kMargin));
  return y + kHead;
}

Size size_of(const Plot& plot) {
  Size size{};
  size.columns = std::min(kMostColumns, plot.panels.size());
  size.width = static_cast<double>(size.columns) * kPanelWidth + kMargin;
  const Surface none(cairo_svg_surface_create(nullptr, 1, 1));
  Drawing measured(none.get());
  size.head = draw_runs(measured, plot, size.width);
  const size_t rows = (plot.panels.size() + size.columns - 1) / size.columns;
  size.height = size.head + static_cast<double>(rows) * kPanelHeight + kMargin / 2;
  return size;
}

void draw(cairo_surface_t* surface, const Plot& plot, const Size& size) {
  Drawing to(surface);
  cairo_set_source_rgb(to.context(), 1, 1, 1);
  cairo_paint(to.context());
  draw_runs(to, plot, size.width);
  for (size_t i = 0; i < plot.panels.size(); ++i)
    PanelDrawing(to, plot, plot.panels[i], static_cast<double>(i % size.columns) * kPanelWidth,
                 size.head + static_cast<double>(i / size.columns) * kPanelHeight)
        .draw();
}

void check_drawn(cairo_status_t status, const std::filesystem::path& file) {
  check(status == CAIRO_STATUS_SUCCESS, file.string(), ": ", cairo_status_to_string(status));
}

}  // namespace

void write_plot_svg(const Plot& plot, const std::filesystem::path& file) {
  const Size size = size_of(plot);
  const Surface surface(cairo_svg_surface_create(file.c_str(), size.width, size.height));
  check_drawn(cairo_surface_status(surface.get()), file);
  draw(surface.get(), plot, size);
  cairo_surface_finish(surface.get());
  check_drawn(cairo_surface_status(surface.get()), file);
}

void write_plot_png(const Plot& plot, const std::filesystem::path& file) {
  const Size size = size_of(plot);
  const Surface surface(cairo_image_surface_create(CAIRO_FORMAT_RGB24,
                                                   static_cast<int>(std::ceil(kPixels * size.width)),
                                                   static_cast<int>(std::ceil(kPixels * size.height))));
  check_drawn(cairo_surface_status(surface.get()), file);
  cairo_surface_set_device_scale(surface.get(), kPixels, kPixels);
  draw(surface.get(), plot, size);
  check_drawn(cairo_surface_write_to_png(surface.get(), file.c_str()), file);
}

}  // namespace moga
