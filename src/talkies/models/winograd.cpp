// Between pictures and tiles: the transforms of Winograd's F(4,3) (Lavin & Gray 2016, section 4.3), and plain taps.
//
// A picture is [N, H, W, C], C contiguous; strides of N and H are given in elements. Its tiles are [V, P, C], with strides of V
// and P given; P = N * ceil(H / step) * ceil(W / step), or N * ceil(H / step) * W where the second axis is left alone.
// Reading beyond the picture finds zeros, what would be written beyond it is dropped, and where tiles overlap they add up.

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

struct Shape {
    long n, h, w, c, stride_n, stride_h, stride_v, stride_p;
};

// Along one axis a tile's picture begins `reach` before its own place, a multiple of `step`, and is `side` long; its values are
// `values`. `to` turns the first into the second, `from` is its adjoint; neighbours stand `s` and `r` apart.

struct Input {  // B^T d
    static constexpr int side = 6, values = 6, step = 4, reach = 1;
    template <typename V> static void to(const V* d, int s, V* t, int r) {
        const V a = d[4 * s] - 4 * d[2 * s], b = d[3 * s] - 4 * d[s], c = d[4 * s] - d[2 * s], e = 2 * (d[3 * s] - d[s]);
        t[0] = 4 * d[0] - 5 * d[2 * s] + d[4 * s], t[5 * r] = 4 * d[s] - 5 * d[3 * s] + d[5 * s];
        t[r] = a + b, t[2 * r] = a - b, t[3 * r] = c + e, t[4 * r] = c - e;
    }
    template <typename V> static void from(const V* t, int s, V* d, int r) {
        const V p = t[s] + t[2 * s], m = t[s] - t[2 * s], q = t[3 * s] + t[4 * s], n = 2 * (t[3 * s] - t[4 * s]);
        d[0] = 4 * t[0], d[r] = 4 * (t[5 * s] - m) - n, d[2 * r] = -5 * t[0] - 4 * p - q;
        d[3 * r] = m + n - 5 * t[5 * s], d[4 * r] = t[0] + p + q, d[5 * r] = t[5 * s];
    }
};

struct Output {  // A y; its adjoint makes the outputs
    static constexpr int side = 4, values = 6, step = 4, reach = 0;
    template <typename V> static void to(const V* y, int s, V* m, int r) {
        const V even = y[0] + y[2 * s], odd = y[s] + y[3 * s], far = y[0] + 4 * y[2 * s], wide = 2 * y[s] + 8 * y[3 * s];
        m[0] = y[0], m[r] = even + odd, m[2 * r] = even - odd, m[3 * r] = far + wide, m[4 * r] = far - wide, m[5 * r] = y[3 * s];
    }
    template <typename V> static void from(const V* m, int s, V* y, int r) {
        const V p = m[s] + m[2 * s], n = m[s] - m[2 * s], q = m[3 * s] + m[4 * s], o = m[3 * s] - m[4 * s];
        y[0] = m[0] + p + q, y[r] = n + 2 * o, y[2 * r] = p + 4 * q, y[3 * r] = n + 8 * o + m[5 * s];
    }
};

struct Kernel {  // G g
    static constexpr int side = 3, values = 6, step = 3, reach = 0;
    template <typename V> static void to(const V* g, int s, V* u, int r) {
        const V a = (g[0] + g[2 * s]) / -6, b = g[s] / 6, c = g[0] / 24 + g[2 * s] / 6, e = g[s] / 12;
        u[0] = g[0] / 4, u[r] = a - b, u[2 * r] = a + b, u[3 * r] = c + e, u[4 * r] = c - e, u[5 * r] = g[2 * s];
    }
    template <typename V> static void from(const V* u, int s, V* g, int r) {
        const V p = (u[s] + u[2 * s]) / 6, q = u[3 * s] + u[4 * s];
        g[0] = u[0] / 4 - p + q / 24, g[2 * r] = q / 6 - p + u[5 * s];
        g[r] = (u[2 * s] - u[s]) / 6 + (u[3 * s] - u[4 * s]) / 12;
    }
};

template <int stride>
struct Taps {  // what a kernel of three sees
    static constexpr int side = 3, values = 3, step = stride, reach = 1;
    template <typename V> static void to(const V* d, int s, V* t, int r) { t[0] = d[0], t[r] = d[s], t[2 * r] = d[2 * s]; }
    template <typename V> static void from(const V* t, int s, V* d, int r) { to(t, s, d, r); }
};

struct Alone {  // an axis that is left alone
    static constexpr int side = 1, values = 1, step = 1, reach = 0;
    template <typename V> static void to(const V* d, int, V* t, int) { t[0] = d[0]; }
    template <typename V> static void from(const V* t, int, V* d, int) { d[0] = t[0]; }
};

template <typename T>
struct Lane {
    static constexpr long width = 32 / sizeof(T);
    typedef T vec __attribute__((vector_size(32)));

    template <bool whole> static vec load(const T* from, long n) {
        vec v = {};
        std::memcpy(&v, from, whole ? sizeof v : n * sizeof(T));
        return v;
    }
    template <bool whole> static void store(T* to, const vec& v, long n) { std::memcpy(to, &v, whole ? sizeof v : n * sizeof(T)); }
};

// One tile: where its picture's places are, and where its values are.
template <typename T, typename Down, typename Across>
struct Tile {
    using L = Lane<T>;
    using V = typename L::vec;
    static constexpr bool overlap = Down::side > Down::step;
    T* places[Down::side * Across::side];
    T* values;
    long stride_v;

    Tile(T* frame, T* outside, T* values, const Shape& s, long row, long column) : values(values), stride_v(s.stride_v) {
        for (int i = 0; i < Down::side; ++i)
            for (int j = 0; j < Across::side; ++j) {
                const long y = row * Down::step - Down::reach + i, x = column * Across::step - Across::reach + j;
                const bool inside = y >= 0 && y < s.h && x >= 0 && x < s.w;
                places[i * Across::side + j] = inside ? frame + y * s.stride_h + x * s.c : outside;
            }
    }

    template <bool whole> void to(long c, long n) const {
        V d[Down::side * Across::side], u[Down::values * Across::side], t[Across::values];
#pragma GCC unroll 36
        for (int i = 0; i < Down::side * Across::side; ++i) d[i] = L::template load<whole>(places[i] + c, n);
#pragma GCC unroll 6
        for (int j = 0; j < Across::side; ++j) Down::to(d + j, Across::side, u + j, Across::side);
#pragma GCC unroll 6
        for (int i = 0; i < Down::values; ++i) {
            Across::to(u + i * Across::side, 1, t, 1);
#pragma GCC unroll 6
            for (int j = 0; j < Across::values; ++j)
                L::template store<whole>(values + (i * Across::values + j) * stride_v + c, t[j], n);
        }
    }

    template <bool whole> void from(long c, long n) const {
        V t[Down::values * Across::values], u[Down::side * Across::values], d[Across::side];
#pragma GCC unroll 36
        for (int i = 0; i < Down::values * Across::values; ++i) t[i] = L::template load<whole>(values + i * stride_v + c, n);
#pragma GCC unroll 6
        for (int j = 0; j < Across::values; ++j) Down::from(t + j, Across::values, u + j, Across::values);
#pragma GCC unroll 6
        for (int i = 0; i < Down::side; ++i) {
            Across::from(u + i * Across::values, 1, d, 1);
#pragma GCC unroll 6
            for (int j = 0; j < Across::side; ++j) {
                T* place = places[i * Across::side + j] + c;
                L::template store<whole>(place, overlap ? d[j] + L::template load<whole>(place, n) : d[j], n);
            }
        }
    }
};

template <typename T, typename Down, typename Across, bool forth>
void transform(T* picture, T* tiles, const Shape& s) {
    using One = Tile<T, Down, Across>;
    constexpr long width = Lane<T>::width;
    const long rows = (s.h + Down::step - 1) / Down::step, columns = (s.w + Across::step - 1) / Across::step;
    // A thread owns whole strips, for tiles may overlap in them: a frame, or a column of it where columns stand alone.
    const long strips = Across::side == 1 ? s.w : 1, strip = columns / strips, strip_width = s.w / strips;
#pragma omp parallel
    {
        std::vector<T> outside(s.c);
#pragma omp for collapse(2) schedule(static)
        for (long n = 0; n < s.n; ++n)
            for (long k = 0; k < strips; ++k) {
                T* frame = picture + n * s.stride_n;
                if (!forth && One::overlap)
                    for (long y = 0; y < s.h; ++y)
                        std::fill_n(frame + y * s.stride_h + k * strip_width * s.c, strip_width * s.c, T(0));
                for (long row = 0; row < rows; ++row)
                    for (long column = k * strip; column < (k + 1) * strip; ++column) {
                        T* values = tiles + ((n * rows + row) * columns + column) * s.stride_p;
                        const One tile(frame, outside.data(), values, s, row, column);
                        const long rest = s.c % width, whole = s.c - rest;
                        for (long c = 0; c < whole; c += width) forth ? tile.template to<true>(c, width) : tile.template from<true>(c, width);
                        if (rest) forth ? tile.template to<false>(whole, rest) : tile.template from<false>(whole, rest);
                    }
            }
    }
}

template <typename T, typename Line>
void along(int axes, int forth, T* picture, T* tiles, const Shape& s) {
    if (axes == 1 && forth) transform<T, Line, Alone, true>(picture, tiles, s);
    if (axes == 1 && !forth) transform<T, Line, Alone, false>(picture, tiles, s);
    if (axes == 2 && forth) transform<T, Line, Line, true>(picture, tiles, s);
    if (axes == 2 && !forth) transform<T, Line, Line, false>(picture, tiles, s);
}

template <typename T>
void choose(int line, int axes, int forth, T* picture, T* tiles, const Shape& s) {
    if (line == 0) along<T, Input>(axes, forth, picture, tiles, s);
    if (line == 1) along<T, Output>(axes, forth, picture, tiles, s);
    if (line == 2) along<T, Kernel>(axes, forth, picture, tiles, s);
    if (line == 3) along<T, Taps<1>>(axes, forth, picture, tiles, s);
    if (line == 4) along<T, Taps<2>>(axes, forth, picture, tiles, s);
}

}  // namespace

extern "C" void transform_f32(int line, int axes, int forth, float* picture, float* tiles, const Shape* shape) {
    choose(line, axes, forth, picture, tiles, *shape);
}

extern "C" void transform_f64(int line, int axes, int forth, double* picture, double* tiles, const Shape* shape) {
    choose(line, axes, forth, picture, tiles, *shape);
}
