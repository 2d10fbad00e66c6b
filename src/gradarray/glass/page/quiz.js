// The quiz: numbers that are to be filled in stay hidden until they are.

const BLANK = '____';

class Quiz {
  constructor(told, words) {
    this.blanks = new Map((told || []).map((blank) => [blank.symbol, blank]));
    this.solved = new Set();
    this.words = words;
  }

  /** Whether a number may be shown. */
  knows(symbol) {
    return !this.blanks.has(symbol) || this.solved.has(symbol);
  }

  score() {
    return this.blanks.size
      ? say(this.words.quiz_score, {k: this.solved.size, n: this.blanks.size}) : '';
  }

  /** What is to be said of an answer; null where it is right. */
  judge(symbol, text) {
    const {right} = this.blanks.get(symbol);
    const given = text.split(/[\s,;[\]()]+/).filter(Boolean).map((part) => {
      const [top, bottom] = part.split('/');
      return Number(top) / (bottom === undefined ? 1 : Number(bottom));
    });
    if (given.length !== right.length || given.some(Number.isNaN)) {
      return say(this.words.quiz_unread, {n: right.length});
    }
    const scale = Math.max(...right.map(Math.abs));
    const close = (sign) => given.every((x, k) => Math.abs(sign * x - right[k]) <= 0.005 * scale);
    if (close(1)) return null;
    return close(-1) ? this.words.quiz_sign : this.words.quiz_not_yet;
  }

  /** A field for one answer; `done` is called when it is filled in. */
  ask(symbol, done) {
    const {words} = this;
    const input = make('input', {
      class: 'answer', 'aria-label': `${symbol}: ${words.quiz_ask}`, autocomplete: 'off',
      spellcheck: 'false', placeholder: words.quiz_ask});
    const check = make('button', {type: 'button', text: words.quiz_check});
    const show = make('button', {type: 'button', text: words.quiz_show});
    const told = make('span', {class: 'note', role: 'status'});
    const finish = () => {
      this.solved.add(symbol);
      done();
    };
    const judge = () => {
      const wrong = this.judge(symbol, input.value);
      told.textContent = wrong || '';
      if (wrong === null) finish();
    };
    check.addEventListener('click', judge);
    show.addEventListener('click', finish);
    input.addEventListener('keydown', (event) => {
      event.stopPropagation();
      if (event.key === 'Enter') judge();
    });
    return make('span', {class: 'ask', 'data-symbol': symbol}, input, check, show, told);
  }
}
